"""Prediction of what comes (§1.5): context frames in, later frames out, and whether they came so.

sampling     a predictor's draw of the future, from tokens and latents of the context
pipeline     a clip through all networks, both encoders in parallel
placement    which network lies on which device
differences  how far a prediction is from an outcome, cell by cell, by networks that trained nothing here
calibration  the line between agreeing and differing, from held-out clips
verify       agrees, differs or uncertain, with a map of where
"""
