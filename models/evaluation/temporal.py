"""Temporal LPIPS variance, with what keeps it honest: a frozen video scores a perfect 0 (§6).

Protocol: LPIPS between consecutive frames of a clip, its variance over time (population); beside it the same of the
true clip, and the dynamic degree: mean absolute change of a pixel from frame to frame, in 0..1, of both.
"""

from itertools import pairwise

import numpy as np

from models.evaluation.inputs import check_clips

SHORTEST = 3
"""Frames of a clip that has a variance over time."""
DYNAMIC_PROTOCOL = "mean absolute change of a pixel between consecutive frames, 0..1"
PROTOCOL = "variance over time of LPIPS (alex) between consecutive generated frames; dynamic degree beside it"


def temporal_lpips_variance(steps: np.ndarray) -> np.ndarray:
    """Variance over time of consecutive LPIPS [N, T-1] -> [N]."""
    return steps.var(axis=1)


def dynamic_degree(frames: np.ndarray) -> np.ndarray:
    """Mean absolute change of a pixel between consecutive frames of uint8 clips, in 0..1 -> [N]."""
    check_clips(frames, "dynamic degree")
    changes = [[_change(*two) for two in pairwise(clip)] for clip in frames]
    return np.array([np.mean(change) if change else np.nan for change in changes]) / 255


def _change(frame: np.ndarray, following: np.ndarray) -> float:
    return float(np.abs(following.astype(np.int16) - frame).mean())
