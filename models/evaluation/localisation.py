"""Q2's question to one frozen representation: how well does the detection probe find the objects in it? (§6.1)

The probe is trained on train clips and read on held-out ones; the same clips, frames and seed for every representation,
so that two of them can be compared clip by clip.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from models.evaluation import boxes as box
from models.evaluation.boxes import Clip
from models.evaluation.detection import predict_boxes, train_probe
from models.evaluation.metric import Metric, bootstrap, paired_difference


@dataclass(frozen=True)
class Localisation:
    """What the probe read on held-out clips."""

    box_iou: np.ndarray
    """[N], NaN where a clip has no object."""
    map50: Metric
    map50_draws: np.ndarray
    """mAP@0.5 of resampled clips, the same clips in the same draw for every representation."""

    def bbox_iou(self, seed: int = 0) -> Metric:
        """Mean over clips."""
        return bootstrap(self.box_iou, seed, box.BOX_PROTOCOL)


def localise(
    train: np.ndarray,
    train_boxes: list[Clip],
    heldout: np.ndarray,
    heldout_boxes: list[Clip],
    grid: tuple[int, int],
    frame: tuple[int, int],
    *,
    seed: int = 0,
) -> Localisation:
    """Train on tokens [N, T', h*w, D] in raster order with their boxes, read on others; `frame` is (height, width).

    Raises:
        MetricInputError: tokens that do not fit the grid or the boxes.
    """
    probe = train_probe(train, train_boxes, grid, frame, seed=seed)
    found = predict_boxes(probe, heldout, grid, frame)
    draws = box.map50_resamples(heldout_boxes, found, seed)
    return Localisation(box.box_iou(heldout_boxes, found), box.map50_of_draws(heldout_boxes, found, draws), draws)


def box_iou_gain(first: Localisation, second: Localisation, seed: int = 0) -> Metric:
    """Bounding Box IoU of the first less that of the second, clip by clip."""
    return paired_difference(first.box_iou, second.box_iou, seed, box.BOX_PROTOCOL)


def map50_gain(first: Localisation, second: Localisation) -> Metric:
    """mAP@0.5 of the first less that of the second, both on the same resampled clips."""
    if first.map50.value is None or second.map50.value is None:
        return Metric(None, None, None, 0, box.MAP_PROTOCOL)
    low, high = np.nanquantile(first.map50_draws - second.map50_draws, [0.025, 0.975])
    gain = first.map50.value - second.map50.value
    return Metric(gain, float(low), float(high), first.map50.n, f"paired resamples of clips: {box.MAP_PROTOCOL}")


def onto_grid(tokens: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Tokens of a finer square raster [N, T', n, D] averaged onto a grid: [N, T', h*w, D]."""
    clips, times, count, dim = tokens.shape
    side = round(count**0.5)
    images = torch.from_numpy(tokens).float().view(clips * times, side, side, dim).movedim(-1, 1)
    pooled = F.adaptive_avg_pool2d(images, grid).flatten(2).transpose(1, 2)
    return pooled.reshape(clips, times, grid[0] * grid[1], dim).numpy()
