"""Boxes: IoU and mAP against pycocotools, undefined cases, and the probe that reads boxes from tokens."""

import contextlib
import io

import numpy as np
import pytest

from models.evaluation.boxes import (
    Detections,
    average_precision,
    box_iou,
    boxes_from_masks,
    map50,
    map50_metric,
    pairwise_iou,
)
from models.evaluation.detection import predict_boxes, targets, train_probe
from models.evaluation.inputs import MetricInputError

NOTHING = Detections(np.empty((0, 4)), np.empty(0))


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 40, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(4, 24, (count, 2))], axis=1)


@pytest.fixture
def scene():
    """Ten clips of two frames: true boxes, and predictions that are near, missing, doubled or false."""
    rng = np.random.default_rng(0)
    true, predicted = [], []
    for _ in range(10):
        clip, guess = [], []
        for _ in range(2):
            boxes = random_boxes(rng, rng.integers(0, 4))
            near = boxes + rng.normal(0, 2, boxes.shape)
            near = np.concatenate(
                [near[rng.random(len(near)) < 0.8], random_boxes(rng, rng.integers(0, 3)), near[:1] + 1]
            )
            clip.append(Detections(boxes, np.ones(len(boxes))))
            guess.append(Detections(near, rng.random(len(near))))
        true.append(clip)
        predicted.append(guess)
    return true, predicted


def pycoco_ap50(true, predicted) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]

    truth, found = [f for clip in true for f in clip], [f for clip in predicted for f in clip]
    annotations = [
        {"image_id": k, "category_id": 1, "bbox": xywh(box), "area": float(np.prod(box[2:] - box[:2])), "iscrowd": 0}
        for k, frame in enumerate(truth)
        for box in frame.boxes
    ]
    results = [
        {"image_id": k, "category_id": 1, "bbox": xywh(box), "score": float(score)}
        for k, frame in enumerate(found)
        for box, score in zip(frame.boxes, frame.scores, strict=True)
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": k} for k in range(len(truth))],
        "categories": [{"id": 1}],
        "annotations": [a | {"id": k + 1} for k, a in enumerate(annotations)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


def test_map50_equals_pycocotools(scene):
    expected = pycoco_ap50(*scene)
    assert 0.2 < expected < 0.95
    assert map50(*scene) == pytest.approx(expected, abs=1e-6)
    metric = map50_metric(*scene, resamples=200)
    assert metric.value == pytest.approx(expected, abs=1e-6)
    assert metric.low < expected < metric.high
    assert metric.n == sum(any(len(f.boxes) for f in clip) for clip in scene[0])


def test_iou_equals_pycocotools():
    from pycocotools import mask

    rng = np.random.default_rng(1)
    first, second = random_boxes(rng, 5), random_boxes(rng, 7)
    as_coco = [np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1) for b in (first, second)]
    np.testing.assert_allclose(pairwise_iou(first, second), mask.iou(*as_coco, [0] * 7))


def test_box_iou_by_hand():
    true = [[Detections(np.array([[0, 0, 10, 10], [20, 20, 30, 30.0]]), np.ones(2))], [NOTHING]]
    half = np.array([[0, 0, 10, 5.0], [20, 20, 30, 30.0], [40, 40, 50, 50.0]])
    sure, unsure = np.array([0.9, 0.6, 0.8]), np.array([0.9, 0.4, 0.8])
    np.testing.assert_allclose(box_iou(true, [[Detections(half, sure)], [NOTHING]]), [0.75, np.nan])
    assert box_iou(true, [[Detections(half, unsure)], [NOTHING]])[0] == 0.25
    assert box_iou(true, [[NOTHING], [NOTHING]])[0] == 0


def test_no_true_box_is_undefined_and_no_prediction_is_nought():
    empty = [[NOTHING]]
    assert np.isnan(map50(empty, empty))
    assert map50_metric(empty, empty).value is None
    assert np.isnan(average_precision(np.empty((0, 2)), 0))
    true = [[Detections(np.array([[0, 0, 10, 10.0]]), np.ones(1))]]
    assert map50(true, empty) == 0


def test_boxes_of_masks():
    masks = np.zeros((1, 1, 8, 8), np.uint8)
    masks[0, 0, 1:3, 2:6], masks[0, 0, 5, 7] = 1, 3
    np.testing.assert_array_equal(boxes_from_masks(masks)[0][0].boxes, [[2, 1, 6, 3], [7, 5, 8, 6]])
    assert boxes_from_masks(np.zeros((1, 1, 8, 8), np.uint8))[0][0].boxes.shape == (0, 4)


def test_targets_give_every_box_a_cell():
    tiny, large = [1, 1, 3, 3], [16, 16, 64, 64]
    present, where = targets([np.array([tiny, large], float), np.empty((0, 4))], 8, 8, (64, 64))
    assert present[0, 0, 0] == 1
    assert present[0, 4, 4] == 1
    assert present[1].sum() == 0
    np.testing.assert_allclose(where[0, 0, 0] * 64, tiny)


def clips_of_squares(count: int, seed: int):
    """Tokens of raw 8x8 patches of frames 32x32 with one square, and its box."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, 2, 32, 32), np.uint8)
    for clip in masks:
        for frame in clip:
            size = rng.integers(8, 16)
            y, x = rng.integers(0, 32 - size, 2)
            frame[y : y + size, x : x + size] = 1
    tokens = masks.reshape(count, 2, 4, 8, 4, 8).transpose(0, 1, 2, 4, 3, 5).reshape(count, 2, 16, 64)
    return tokens.astype(np.float32), boxes_from_masks(masks)


def test_probe_reads_boxes_where_they_are_and_not_where_they_are_not():
    tokens, boxes = clips_of_squares(120, 0)
    heldout, truth = clips_of_squares(30, 1)
    probe = train_probe(tokens, boxes, (4, 4), (32, 32), steps=150)
    found = predict_boxes(probe, heldout, (4, 4), (32, 32))
    good = np.nanmean(box_iou(truth, found))
    again = train_probe(tokens, boxes, (4, 4), (32, 32), steps=150)
    assert np.nanmean(box_iou(truth, predict_boxes(again, heldout, (4, 4), (32, 32)))) == good
    blind = np.random.default_rng(0).permuted(tokens.reshape(-1, 64), axis=0).reshape(tokens.shape)
    chance = np.nanmean(
        box_iou(truth, predict_boxes(train_probe(blind, boxes, (4, 4), (32, 32), steps=150), heldout, (4, 4), (32, 32)))
    )
    assert good > 0.6
    assert chance < 0.3


def test_probe_refuses_another_grid():
    tokens, boxes = clips_of_squares(2, 0)
    with pytest.raises(MetricInputError, match="grid"):
        train_probe(tokens, boxes, (3, 4), (32, 32))
