"""BBox IoU and mAP@0.5: boxes and how they are compared (§6).

Protocol: boxes are absolute xyxy in pixels, x2 and y2 one past the last pixel. Box IoU of a clip: in each frame the
predicted boxes of score >= 0.5 are matched one to one with the true ones for the largest total IoU (Hungarian); mean
over all true boxes of the clip, an unmatched one counts 0. False boxes are seen by mAP@0.5: torchmetrics'
MeanAveragePrecision (faster_coco_eval), one class; its -1 means undefined.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from models.evaluation.metric import Metric

BOX_PROTOCOL = "detection probe on the frozen representation, held-out clips, Hungarian-matched IoU per true box"
MAP_PROTOCOL = "detection probe, held-out clips, torchmetrics MeanAveragePrecision (faster_coco_eval) at IoU 0.5"
CERTAIN = 0.5


@dataclass(frozen=True)
class Detections:
    """Boxes of one frame: float [K, 4] xyxy in pixels, with scores [K]; true boxes all score 1."""

    boxes: np.ndarray
    scores: np.ndarray

    def certain(self) -> np.ndarray:
        return self.boxes[self.scores >= CERTAIN]


Clip = list[Detections]


def boxes_from_masks(masks: np.ndarray) -> list[Clip]:
    """The box around the visible part of each shape in each frame; masks uint8 [N, T, H, W], k = k-th shape."""
    return [[_boxes(frame) for frame in clip] for clip in masks]


def _boxes(mask: np.ndarray) -> Detections:
    boxes = []
    for shape in np.unique(mask[mask > 0]):
        rows, columns = np.nonzero(mask == shape)
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return Detections(np.array(boxes, np.float64).reshape(-1, 4), np.ones(len(boxes)))


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of every box [N, 4] with every box [M, 4] -> [N, M]."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    opposite = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(opposite - corner, 0, None).prod(-1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1) for boxes in (first, second)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)


def box_iou(true: list[Clip], predicted: list[Clip]) -> np.ndarray:
    """Mean IoU over the true boxes of each clip -> [N]; NaN where a clip has none."""
    return np.array([_clip_iou(*pair) for pair in zip(true, predicted, strict=True)])


def _clip_iou(true: Clip, predicted: Clip) -> float:
    total, count = 0.0, 0
    for frame, guess in zip(true, predicted, strict=True):
        overlap = pairwise_iou(frame.boxes, guess.certain())
        total += float(overlap[linear_sum_assignment(-overlap)].sum())
        count += len(frame.boxes)
    return total / count if count else float("nan")


def map50(true: list[Clip], predicted: list[Clip]) -> float:
    """Average precision at IoU 0.5 over all frames, one class; NaN where there is no true box."""
    from torchmetrics.detection import MeanAveragePrecision

    measure = MeanAveragePrecision(backend="faster_coco_eval", box_format="xyxy", iou_thresholds=[0.5])
    measure.warn_on_many_detections = False
    for clip, guess in zip(true, predicted, strict=True):
        measure.update(
            [_labelled(frame) | {"scores": torch.from_numpy(frame.scores).float()} for frame in guess],
            [_labelled(frame) for frame in clip],
        )
    value = float(measure.compute()["map_50"])
    return value if value >= 0 else float("nan")


def _labelled(frame: Detections) -> dict[str, torch.Tensor]:
    """As torchmetrics wants them, all of one class."""
    return {"boxes": torch.from_numpy(frame.boxes).float(), "labels": torch.zeros(len(frame.boxes), dtype=torch.int)}


def map50_metric(true: list[Clip], predicted: list[Clip], seed: int = 0, resamples: int = 500) -> Metric:
    """mAP@0.5 with a bootstrap interval over clips."""
    return map50_of_draws(true, predicted, map50_resamples(true, predicted, seed, resamples))


def map50_of_draws(true: list[Clip], predicted: list[Clip], draws: np.ndarray) -> Metric:
    """mAP@0.5 with the interval of resamples that are at hand."""
    value = map50(true, predicted)
    n = sum(any(len(frame.boxes) for frame in clip) for clip in true)
    if not np.isfinite(value):
        return Metric(None, None, None, 0, MAP_PROTOCOL)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Metric(value, float(low), float(high), n, MAP_PROTOCOL)


def map50_resamples(true: list[Clip], predicted: list[Clip], seed: int = 0, resamples: int = 500) -> np.ndarray:
    """mAP@0.5 of clips drawn with replacement -> [resamples]: matches are found once a frame, the curve once a draw.

    The draws are the seed's alone: of two predictions for the same clips they are paired, draw by draw.
    """
    counts = np.array([sum(len(frame.boxes) for frame in clip) for clip in true])
    matched = [_ranked(*pair) for pair in zip(true, predicted, strict=True)]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        clips = rng.integers(0, len(true), len(true))
        drawn.append(average_precision(np.concatenate([matched[k] for k in clips]), int(counts[clips].sum())))
    return np.array(drawn)


def _ranked(true: Clip, predicted: Clip) -> np.ndarray:
    """(score, right) of each predicted box of a clip, matched as COCO does: by score, to the best free true box."""
    rows = [np.empty((0, 2))]
    for frame, guess in zip(true, predicted, strict=True):
        overlap = pairwise_iou(guess.boxes, frame.boxes)
        right = np.zeros(len(guess.boxes))
        for k in np.argsort(-guess.scores, kind="stable")[:100]:
            if overlap.shape[1] and (best := overlap[k].max()) >= 0.5:
                overlap[:, overlap[k] == best] = -1
                right[k] = 1
        rows.append(np.stack([guess.scores, right], axis=1))
    return np.concatenate(rows)


def average_precision(ranked: np.ndarray, count: int) -> float:
    """COCO's: precision, made monotone, at 101 recalls; rows (score, right) and the number of true boxes."""
    if count == 0:
        return float("nan")
    right = ranked[np.argsort(-ranked[:, 0], kind="stable"), 1]
    recall = np.cumsum(right) / count
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(recall, np.linspace(0, 1, 101))].mean())
