"""MobileSAM with its real weights: the published network's own features, and objects that look alike to themselves.

The expected values were measured with the network's published code on the same frame (cell rows 0, 20, 47).
"""

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.encoders.registry import load_encoder
from models.provenance import WeightsError

PUBLISHED = {
    (0, 0): [0.05600, 0.13629, 0.22200],
    (100, 20): [-0.03340, -0.07279, -0.10205],
    (255, 47): [0.09297, 0.05520, -0.07815],
}
"""By channel and row, the features in the columns 5, 30 and 60."""


@pytest.fixture(scope="module")
def mobile_sam(mobile_sam_folder):
    return load_encoder("mobile_sam", mobile_sam_folder, stride=1)


def test_features_are_those_of_the_published_network(mobile_sam):
    y, x, colour = torch.arange(300)[:, None, None], torch.arange(400)[None, :, None], torch.arange(3)
    frame = ((3 * y + 2 * x + 40 * colour) % 256).to(torch.uint8)
    made = mobile_sam(frame[None, None])
    assert made.tokens.shape == (1, 1, 64 * 64, 256)
    assert made.mask.sum() == 48 * 64
    features = made.tokens[0, 0].T.view(256, 64, 64)
    for (channel, row), expected in PUBLISHED.items():
        assert features[channel, row, [5, 30, 60]].tolist() == pytest.approx(expected, abs=2e-5)


def test_an_object_looks_like_itself_and_not_like_another(mobile_sam):
    """A red disc left and right of a striped square on a grey ground: tokens of one object are nearer to each other."""
    y, x = torch.arange(256)[:, None], torch.arange(256)[None, :]
    discs = [(x - at).square() + (y - 128).square() < 35**2 for at in (50, 206)]
    square = ((x - 128).abs() < 30) & ((y - 128).abs() < 30)
    frame = torch.full((256, 256, 3), 110, dtype=torch.uint8)
    frame[discs[0] | discs[1]] = torch.tensor([200, 40, 40], dtype=torch.uint8)
    frame[square & (x // 6 % 2 == 0)] = torch.tensor([30, 60, 220], dtype=torch.uint8)
    made = mobile_sam(frame[None, None])
    at = (made.positions[0, 0] * 256).long().clamp(max=255)
    within = [region[at[:, 1], at[:, 0]] for region in (*discs, square)]
    left, right, middle = (made.tokens[0, 0][tokens].mean(dim=0) for tokens in within)
    alike = torch.cosine_similarity(left, right, dim=0)
    other = max(torch.cosine_similarity(disc, middle, dim=0) for disc in (left, right))
    assert alike > other + 0.2


def test_a_folder_that_lacks_tensors_is_refused(mobile_sam_folder, tmp_path):
    tensors = load_file(mobile_sam_folder / "model.safetensors")
    lacking = {name: tensor for name, tensor in tensors.items() if not name.startswith("image_encoder.neck")}
    save_file(lacking, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"holds no whole MobileSAM .*neck"):
        load_encoder("mobile_sam", tmp_path, stride=1)
