"""The names of the ways in which one clip is foretold (§5.6, C4)."""

from typing import Literal

Candidate = Literal["drawn", "again", "fusion", "still", "onward"]
"""`drawn` and `again` are the predictor's own, by two noises; `fusion` is what its fusion gives without a generator;
`still` copies the last known latent frame, `onward` goes on with its last change.
"""
