"""Tokens in int8: one symmetric scale a channel, half the bytes of fp16, the error bounded (design §4.8).

A channel's scale is its largest magnitude over 127, so that nothing is clipped, outliers least of all, and no value is
off by more than half a scale. Channels have each their own because their ranges differ by far: under one scale for all
a few loud ones would leave the quiet ones no steps. What an outlier costs is the resolution of its own channel; whether
the tokens can bear that is what `token_cosine` tells.
"""

import numpy as np

LEVELS = 127
"""-128 is not used: the range is symmetric."""
LEAST_COSINE = 0.999
"""Between a token and its int8 self (design §4.8)."""


class QuantisationError(ValueError):
    """Values that have no int8 form."""


def quantise(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """fp16 [N, ..., D] -> int8 [N, ..., D] in -127..127 and float32 scales [D]; a channel of zeros has scale 0.

    Raises:
        QuantisationError: no values; NaN or infinity among them.
    """
    if not values.size:
        raise QuantisationError(f"values are {list(values.shape)}: nothing to quantise; give at least one clip")
    if not np.isfinite(values).all():
        raise QuantisationError("NaN or infinity has no int8 form; mend the encoder's output")
    all_but_channels = tuple(range(values.ndim - 1))
    largest = np.maximum(values.max(all_but_channels), -values.min(all_but_channels))
    scales = largest.astype(np.float32) / LEVELS
    steps = np.where(scales > 0, scales, np.float32(1))
    # One clip at a time: the whole in float32 would be twice the shard.
    return np.stack([np.rint(clip / steps).astype(np.int8) for clip in values]), scales


def dequantise(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """int8 [..., D] and float32 scales that broadcast to it -> float32 [..., D], within half a scale of the original.

    It is not rounded to fp16 again: that would add an error of its own.
    """
    return values * scales


def token_cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine of each token with its counterpart, [..., D] twice -> float64 [...].

    Two tokens of zeros agree (1); a token of zeros and another do not (0).
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    products = np.einsum("...d,...d->...", first, second)
    both_zero = ~(first.any(axis=-1) | second.any(axis=-1))
    return np.where(both_zero, 1.0, products / np.where(lengths > 0, lengths, 1.0))
