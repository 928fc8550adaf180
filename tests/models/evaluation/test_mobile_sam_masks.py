"""MobileSAM whole, with its real weights: the published network's own masks, and refused where it is not whole.

The expected values were measured with the network's published code (mobilesam-mirror 1.0.0) on the same pixels; over
all of both masks' logits, which reach 40, the largest difference was 1e-4, and no pixel of the masks differed.
"""

import bz2
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.data.video import decode
from models.encoders.sam import squared
from models.evaluation.mobile_sam import SIZE, MobileSam
from models.provenance import WeightsError
from tests.models.evaluation.conftest import fetched

BOXES = np.array([[45.0, 85, 175, 215], [235, 65, 345, 215]])
LOGITS = [
    [[-20.7088, -20.2555, -17.2685, -16.1258, -16.6525], [-13.1771, -12.8801, -12.8815, -9.9429, -9.9802]],
    [[-20.9494, 15.5395, -16.7407, -13.2575, -16.7230], [-13.0592, -9.0565, -12.5901, 8.1644, -9.4653]],
    [[-20.5229, -17.9356, -15.7378, -15.7644, -16.5190], [-13.8500, -13.5041, -13.4817, -9.6393, -9.9449]],
]
"""By row (40, 96, 140) and box, in the columns 20, 70, 120, 186 and 240."""
EXPECTED_IOU = [0.9861, 0.9393]
AREAS = [11244, 9834]


@pytest.fixture(scope="module")
def folder() -> Path:
    return fetched("mobile_sam")


@pytest.fixture(scope="module")
def network(folder) -> MobileSam:
    return MobileSam.load(folder, "hash")


def frame() -> torch.Tensor:
    """A red disc and a bar of blue stripes on grey, uint8 [300, 400, 3]."""
    y, x = torch.arange(300)[:, None], torch.arange(400)[None, :]
    made = torch.full((300, 400, 3), 110, dtype=torch.uint8)
    made[disc()] = torch.tensor([200, 40, 40], dtype=torch.uint8)
    bar = ((x - 290).abs() < 50) & ((y - 140).abs() < 70)
    made[bar & (x // 8 % 2 == 0)] = torch.tensor([30, 60, 220], dtype=torch.uint8)
    return made


def disc() -> torch.Tensor:
    y, x = torch.arange(300)[:, None], torch.arange(400)[None, :]
    return (x - 110).square() + (y - 150).square() < 60**2


def test_masks_are_those_of_the_published_network(network):
    with torch.no_grad():
        logits, expected = network.model(squared(frame()[None], SIZE), torch.from_numpy(BOXES).float() * (SIZE / 400))
    assert logits.shape == (2, 256, 256)
    for row, wanted in zip((40, 96, 140), LOGITS, strict=True):
        for box in (0, 1):
            assert logits[box, row, [20, 70, 120, 186, 240]].tolist() == pytest.approx(wanted[box], abs=2e-3)
    assert expected.tolist() == pytest.approx(EXPECTED_IOU, abs=2e-4)


def test_a_mask_is_the_object_in_its_box_at_the_frames_own_size(network):
    found = network.masks(frame().numpy(), BOXES)
    assert found.shape == (2, 300, 400)
    assert found.sum((1, 2)).tolist() == pytest.approx(AREAS, abs=3)
    assert (found[0] & disc().numpy()).sum() / (found[0] | disc().numpy()).sum() > 0.99
    assert network.masks(frame().numpy(), np.zeros((0, 4))).shape == (0, 300, 400)


def test_it_is_frozen_and_no_stand_in(network):
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.train().training
    assert network.standin is False


def test_a_folder_that_lacks_the_mask_decoder_is_refused(folder, tmp_path):
    tensors = load_file(folder / "model.safetensors")
    lacking = {name: tensor for name, tensor in tensors.items() if not name.startswith("mask_decoder.iou_token")}
    save_file(lacking, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"holds no whole MobileSAM .*iou_token"):
        MobileSam.load(tmp_path, "hash")


def test_cars_and_a_cyclist_of_a_real_street_are_found_in_a_detectors_boxes(network, real_clips):
    """Frame 30 of a street scene: each of the three largest boxes is mostly, and not wholly, its object.

    The boxes are a detector's (its file names the top left corner, width and height): a reference and no ground truth.
    """
    name = "otvision_Cars-Cyclist"
    if not (real_clips / f"{name}.otdet").is_file():
        pytest.skip(f"{real_clips}: no {name}.otdet")
    found = json.loads(bz2.decompress((real_clips / f"{name}.otdet").read_bytes()))["data"]["31"]["detections"]
    corners = [(one["x"], one["y"], one["x"] + one["w"], one["y"] + one["h"]) for one in found]
    boxes = np.array(sorted(corners, key=lambda b: (b[0] - b[2]) * (b[3] - b[1]))[:3])
    masks = network.masks(decode(real_clips / f"{name}.mp4").frames[30], boxes)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.round().astype(int), strict=True):
        inside = mask[y1:y2, x1:x2]
        assert 0.4 < inside.mean() < 0.9
        assert inside.sum() > 0.95 * mask.sum()
