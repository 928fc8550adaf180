"""Temporal LPIPS variance, with what keeps it honest: a frozen video scores a perfect 0 (§6).

Protocol: LPIPS between consecutive frames of a clip, its variance over time (population); beside it the same of the
true clip, and the dynamic degree: mean absolute change of a pixel from frame to frame, in 0..1, of both.
"""

import numpy as np

from models.evaluation.inputs import MetricInputError, check_clips
from models.evaluation.lpips import Features, Lpips

DYNAMIC_PROTOCOL = "mean absolute change of a pixel between consecutive frames, 0..1"
PROTOCOL = "variance over time of LPIPS (alex) between consecutive generated frames; dynamic degree beside it"


def consecutive_lpips(model: Lpips, features: Features, frames_per_clip: int) -> np.ndarray:
    """LPIPS of each frame to the next, from the features of whole clips laid end to end -> float64 [N, T-1]."""
    if frames_per_clip < 3:
        raise MetricInputError("temporal variance needs clips of at least 3 frames")
    clips = [layer.unflatten(0, (-1, frames_per_clip)) for layer in features]
    earlier = [layer[:, :-1].flatten(0, 1) for layer in clips]
    later = [layer[:, 1:].flatten(0, 1) for layer in clips]
    return model.between(earlier, later).reshape(-1, frames_per_clip - 1)


def temporal_lpips_variance(steps: np.ndarray) -> np.ndarray:
    """Variance over time of consecutive LPIPS [N, T-1] -> [N]."""
    return steps.var(axis=1)


def dynamic_degree(frames: np.ndarray) -> np.ndarray:
    """Mean absolute change of a pixel between consecutive frames of uint8 clips, in 0..1 -> [N]."""
    check_clips(frames, "dynamic degree")
    return np.abs(np.diff(frames.astype(np.int16), axis=1)).mean(axis=(1, 2, 3, 4)) / 255
