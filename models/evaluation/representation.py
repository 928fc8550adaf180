"""What fixed probes read from frozen representations of clips: boxes where objects are, and which way they move (§6).

Protocol: the detection probe on the spatial encoder's tokens and the temporal probe on the semantic encoder's, pooled
over space with first moments, both fitted once on true train clips. Clips that are read later are encoded anew, and
their true boxes and directions stay those of the clips they should be: a probe is right of a spoiled clip only where
the spoiling left the answer in the representation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.encoders.base import Encoder
from models.evaluation.boxes import Clip, box_iou, boxes_from_masks, map50
from models.evaluation.detection import DetectionProbe, predict_boxes, train_probe
from models.evaluation.inputs import MetricInputError
from models.evaluation.probes import TemporalProbe, pool

Values = dict[str, np.ndarray]
Grid = tuple[int, int]
BATCH = 16
"""Clips in one call of an encoder."""


@dataclass(frozen=True)
class Labelled:
    """Clips and what is true of them."""

    frames: np.ndarray
    """uint8 [N, T, H, W, 3]"""
    masks: np.ndarray
    """uint8 [N, T, H, W], k = k-th shape."""
    directions: Sequence[tuple[str, str]]
    """Of the first-named shape, in the first and in the second half."""


@dataclass(frozen=True)
class Probes:
    """Both probes, fitted, with the encoders whose tokens they read."""

    spatial: Encoder
    semantic: Encoder
    detection: DetectionProbe
    temporal: TemporalProbe

    @classmethod
    def fit(cls, spatial: Encoder, semantic: Encoder, train: Labelled, seed: int = 0) -> "Probes":
        """Fit on true train clips."""
        tokens, grid, shown = _spatial(spatial, train.frames)
        boxes = boxes_from_masks(train.masks[:, shown])
        detection = train_probe(tokens, boxes, grid, train.frames.shape[2:4], seed=seed)
        temporal = TemporalProbe.fit(_semantic(semantic, train.frames), train.directions)
        return cls(spatial, semantic, detection, temporal)

    def reader(self, true: Labelled) -> "Callable[[np.ndarray], tuple[Values, float]]":
        """Of clips that should be these: per-clip values, and mAP@0.5 of them all."""

        def read(frames: np.ndarray) -> tuple[Values, float]:
            if frames.shape != true.frames.shape:
                raise MetricInputError(f"probes: clips {frames.shape} for truths of {true.frames.shape}")
            tokens, grid, shown = _spatial(self.spatial, frames)
            boxes: list[Clip] = boxes_from_masks(true.masks[:, shown])
            found = predict_boxes(self.detection, tokens, grid, frames.shape[2:4])
            told = self.temporal.read(_semantic(self.semantic, frames), true.directions)
            values = {
                "bbox_iou": box_iou(boxes, found),
                "direction": told.direction,
                "temporal_ordering": told.ordering,
            }
            return values, map50(boxes, found)

        return read


def _spatial(encoder: Encoder, frames: np.ndarray) -> tuple[np.ndarray, Grid, np.ndarray]:
    """Tokens [N, T', n, D], their grid, and the frame that each time step is of."""
    tokens, positions = _encoded(encoder, frames)
    rows, columns = (len(np.unique(positions[0, :, axis])) for axis in (1, 0))
    shown = np.linspace(0, frames.shape[1] - 1, tokens.shape[1]).round().astype(int)
    return tokens, (rows, columns), shown


def _semantic(encoder: Encoder, frames: np.ndarray) -> np.ndarray:
    """Tokens pooled over space [N, T', 3D]."""
    return pool(*_encoded(encoder, frames))


def _encoded(encoder: Encoder, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens float32 [N, T', n, D] and positions [T', n, 2]."""
    made = [encoder(some) for some in torch.from_numpy(np.ascontiguousarray(frames)).split(BATCH)]
    tokens = torch.cat([part.tokens.float() for part in made]).numpy()
    return tokens, made[0].positions[0].numpy()
