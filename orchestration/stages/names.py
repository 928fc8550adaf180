"""Files that a stage leaves beside its result for others to read. No torch: whoever looks them up starts at once."""

ERRORS = "errors.json"
"""Of a predictor, by latent frame ahead, beside baselines that need no model."""
VERIFICATION = "verification.json"
"""The calibration of what holds predictions against outcomes."""
