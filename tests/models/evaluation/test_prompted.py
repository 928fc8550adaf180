"""Masks prompted by boxes: which frames are looked at, what counts, and what the boxes alone would have scored."""

import numpy as np
import pytest

from models.evaluation.evaluate import Reference, reconstruction_metrics
from models.evaluation.inputs import MetricInputError
from models.evaluation.prompted import BoxPrompted

NONE = np.zeros((0, 4), np.float32)


class BrightInBox:
    """In the place of MobileSAM: what is bright in a box is its object. Remembers how often it was asked."""

    standin = False

    def __init__(self) -> None:
        self.asked = 0

    def masks(self, frame, boxes):
        self.asked += 1
        inside = np.zeros((len(boxes), *frame.shape[:2]), bool)
        for mask, (x1, y1, x2, y2) in zip(inside, boxes.astype(int), strict=True):
            mask[y1:y2, x1:x2] = frame[y1:y2, x1:x2].mean(-1) > 150
        return inside


@pytest.fixture
def boxes(moving_square) -> list[list[np.ndarray]]:
    """Around each square with four pixels to spare; the first clip has none in its middle frame."""
    _, masks = moving_square
    found = []
    for clip in masks:
        at = [(np.nonzero(mask)[1].min(), np.nonzero(mask)[0].min()) for mask in clip]
        found.append([np.array([[max(0, x - 4), max(0, y - 4), x + 20, y + 20]], np.float32) for x, y in at])
    found[0][4] = NONE
    return found


def test_one_frame_a_clip_is_looked_at_the_nearest_to_the_middle_that_has_a_box(moving_square, boxes):
    network = BrightInBox()
    prompted = BoxPrompted.of(network, boxes, most=5)  # type: ignore[arg-type]
    assert prompted.looked_at in ({0: 3, 1: 4}, {0: 5, 1: 4})
    found = prompted.masks(moving_square[0])
    assert network.asked == 2
    assert found.any((2, 3)).sum(1).tolist() == [1, 1]
    assert (found[1, 4] == (moving_square[1][1, 4] > 0)).all()


def test_clips_are_spread_evenly_over_those_with_boxes_and_their_number_is_said():
    boxes = [[NONE] if k % 2 else [np.array([[0, 0, 4, 4]], np.float32)] for k in range(40)]
    prompted = BoxPrompted.of(BrightInBox(), boxes, most=4)  # type: ignore[arg-type]
    assert prompted.looked_at == {0: 0, 10: 0, 20: 0, 30: 0}
    assert "one frame of each of 4 clips" in prompted.says


def test_the_same_frames_score_1_a_lost_object_0_and_the_boxes_alone_their_share(moving_square, boxes, lpips_alex):
    frames, _ = moving_square
    prompted = BoxPrompted.of(BrightInBox(), boxes, most=5)  # type: ignore[arg-type]
    reference = Reference(frames, lpips_alex, segmenter=prompted)
    same = reconstruction_metrics(reference, frames)
    assert (same["spatial_iou"] == 1).all()
    assert same["spatial_iou_null"] == pytest.approx([16 * 16 / (24 * 24)] * 2, abs=0.15)
    np.testing.assert_allclose(same["spatial_iou_lift"], 1 - same["spatial_iou_null"])
    lost = reconstruction_metrics(reference, np.full_like(frames, 40))
    assert (lost["spatial_iou"] == 0).all()
    assert "spatial_iou_ceiling" not in same
    said = reference.protocols()["spatial_iou"]
    assert "MobileSAM, prompted by the true frame's boxes, one frame of each of 2 clips" in said


def test_a_clip_without_boxes_is_undefined(moving_square, boxes, lpips_alex):
    prompted = BoxPrompted.of(BrightInBox(), [[NONE] * 9, boxes[1]], most=5)  # type: ignore[arg-type]
    values = reconstruction_metrics(Reference(moving_square[0], lpips_alex, segmenter=prompted), moving_square[0])
    assert np.isnan(values["spatial_iou"]).tolist() == [True, False]


def test_other_clips_than_those_of_the_boxes_are_refused(moving_square, boxes):
    prompted = BoxPrompted.of(BrightInBox(), boxes, most=5)  # type: ignore[arg-type]
    with pytest.raises(MetricInputError, match=r"boxes of 2 clips of 9 frames, clips \(1, 9, 64, 64, 3\)"):
        prompted.masks(moving_square[0][:1])
