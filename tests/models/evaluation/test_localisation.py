"""Q2's question to representations in which the object was planted: in its place, or out of it."""

import numpy as np
import pytest
import torch

from models.encoders.qwen_premerge import QwenPremergeEncoder
from models.evaluation.boxes import boxes_from_masks
from models.evaluation.localisation import box_iou_gain, localise, map50_gain, onto_grid
from models.standins import shelf

GRID, FRAME = (8, 8), (64, 64)


def planted(clips: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One square in each clip's only frame: how much of each cell it covers, as tokens [N, 1, 64, 1], and its mask."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((clips, 1, 64, 64), np.uint8)
    for clip in masks:
        side, x, y = rng.integers(14, 26), *rng.integers(0, 38, 2)
        clip[0, y : y + side, x : x + side] = 1
    cells = masks.reshape(clips, 1, 8, 8, 8, 8).mean((3, 5)).reshape(clips, 1, 64, 1)
    return cells.astype(np.float32) + rng.normal(0, 0.05, cells.shape).astype(np.float32), masks


@pytest.fixture(scope="module")
def found():
    """The same tokens in order, and in the order in which the library returns those of Qwen's tower."""
    order = QwenPremergeEncoder.load(shelf.folder("qwen"), stride=2).library_order(*GRID).numpy()
    (train, masks), (held, held_masks) = planted(120, 0), planted(30, 1)
    boxes = boxes_from_masks(masks), boxes_from_masks(held_masks)
    return {
        "restored": localise(train, boxes[0], held, boxes[1], GRID, FRAME),
        "as_returned": localise(train[:, :, order], boxes[0], held[:, :, order], boxes[1], GRID, FRAME),
    }


def test_a_planted_object_is_found_in_order_and_lost_in_the_librarys(found):
    restored, broken = found["restored"], found["as_returned"]
    assert restored.bbox_iou().low > 0.5
    assert broken.bbox_iou().high < 0.4
    assert box_iou_gain(restored, broken).low > 0.2
    assert map50_gain(restored, broken).low > 0.2


def test_a_representation_gains_nothing_over_itself(found):
    gain = map50_gain(found["restored"], found["restored"])
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)
    assert box_iou_gain(found["restored"], found["restored"]).value == 0


def test_paired_resamples_are_narrower_than_two_apart(found):
    restored = found["restored"]
    spread = np.ptp(np.nanquantile(restored.map50_draws, [0.025, 0.975]))
    assert map50_gain(restored, restored).high < spread


def test_a_finer_raster_is_averaged_onto_the_grid():
    fine = torch.arange(16.0).view(1, 1, 16, 1).numpy()
    assert onto_grid(fine, (2, 2)).ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
