"""What `foresight predict` does: a clip's future by a home's predictor, its verification, and the plan of devices."""
