"""Baselines that need no model (§4.13): what a result must beat. Clips uint8 [N, T, H, W, 3] in and out."""

import numpy as np

from models.evaluation.inputs import MetricInputError, check_clips


def copy_last(frames: np.ndarray, known: int | None = None) -> np.ndarray:
    """The last known frame (of the first `known`; all, if not given) stands still for the whole clip."""
    check_clips(frames, "copy_last")
    last = (known or frames.shape[1]) - 1
    return np.repeat(frames[:, last : last + 1], frames.shape[1], axis=1)


def mean_frame(frames: np.ndarray) -> np.ndarray:
    """Each clip's mean frame stands still for the whole clip."""
    check_clips(frames, "mean_frame")
    mean = np.rint(frames.mean(axis=1, keepdims=True)).astype(np.uint8)
    return np.repeat(mean, frames.shape[1], axis=1)


def others(n: int, seed: int = 0) -> np.ndarray:
    """For each of n clips the number of another clip, each used once: one random cycle."""
    if n < 2:
        raise MetricInputError("shuffling needs at least two clips")
    order = np.random.default_rng(seed).permutation(n)
    partner = np.empty(n, int)
    partner[order] = np.roll(order, 1)
    return partner


def shuffled(clips: np.ndarray, seed: int = 0) -> np.ndarray:
    """Each clip (or its conditioning) is replaced by another clip's."""
    return clips[others(len(clips), seed)]
