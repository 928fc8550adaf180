"""Spatial IoU: is the object where it was (§6).

Protocol: masks of generated frames come from a segmenter frozen before any training and never trained on generated
frames; they are compared with the true masks; foreground against ground, at the frames' own size; mean over the frames
in which either mask has a pixel. Undefined for a clip without an object. The segmenter's IoU on true frames is the
ceiling.
"""

import numpy as np

from models.evaluation.inputs import MetricInputError

PROTOCOL = "IoU of the frozen segmenter's mask of the generated frame and the true mask, mean over frames"

PROTOCOL_WITHOUT_TRUTH = (
    "IoU of the frozen segmenter's masks of generated and true frame, mean over frames; no true masks"
)


def mask_iou(reference: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """IoU of each clip from masks [N, T, H, W] (any non-zero is object) -> float64 [N]; NaN where no true object is."""
    if reference.shape != generated.shape or reference.ndim != 4:
        raise MetricInputError(f"masks are two equal [N,T,H,W], not {reference.shape} and {generated.shape}")
    true, made = reference.astype(bool), generated.astype(bool)
    both = (true & made).sum((2, 3))
    either = (true | made).sum((2, 3))
    counted = either > 0
    total = np.where(counted, both / np.maximum(either, 1), 0.0).sum(1)
    value = total / np.maximum(counted.sum(1), 1)
    return np.where(true.any((1, 2, 3)), value, np.nan)
