"""SAM: both ends of the neck, and a padded square whose cells say where they are in the frame."""

import pytest
import torch

from models.encoders.sam import cells_of, fitted, squared
from tests.models.encoders import small


def test_before_and_after_the_neck(encoder):
    frames = small.noise(1, 1, 64, 48)
    before, after = encoder("sam"), encoder("sam_neck")
    assert (before.dim, after.dim) == (64, 32)
    with torch.no_grad():
        states = before(frames).tokens[0].unflatten(1, (16, 16))
        neck = after.model.vision_encoder.neck(states)
    assert torch.allclose(neck.flatten(2).transpose(1, 2), after(frames).tokens[0], atol=1e-5)


def test_padding_is_the_mean_colour_and_the_frame_keeps_its_shape():
    pixels = squared(small.noise(1, 90, 160), 64)
    assert pixels.shape == (1, 3, 64, 64)
    assert fitted(90, 160, 64) == (36, 64)
    assert (pixels[:, :, 36:] == 0).all()
    assert (pixels[:, :, :36] != 0).float().mean() > 0.99


def test_cells_of_a_cut_row_have_the_centre_of_what_is_seen():
    positions, mask = cells_of(90, 160, 64, 8)
    grid, seen = positions.unflatten(0, (8, 8)), mask.unflatten(0, (8, 8))
    # 36 of 64 rows are frame: four and a half cells.
    assert seen.all(dim=1).tolist() == [True] * 5 + [False] * 3
    assert grid[:5, 0, 1].tolist() == pytest.approx([4 / 36, 12 / 36, 20 / 36, 28 / 36, 34 / 36])
    assert grid[0, :, 0].tolist() == pytest.approx([(column + 0.5) / 8 for column in range(8)])


def test_a_square_frame_has_no_padding():
    positions, mask = cells_of(37, 37, 64, 8)
    assert mask.all()
    assert positions[0].tolist() == pytest.approx([1 / 16, 1 / 16])


def test_only_valid_cells_see_the_frame(encoder):
    """What a masked cell shows is padding: its own patch does not change with the frame."""
    sam = encoder("sam")
    made = [sam.model.vision_encoder.patch_embed(squared(small.noise(1, 40, 80, seed=seed), 128)) for seed in (0, 1)]
    changed = (made[0] != made[1]).any(dim=-1).flatten()
    assert torch.equal(changed, cells_of(40, 80, 128, 8)[1])
