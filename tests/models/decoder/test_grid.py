"""Tokens and their places are those of LTX's own pipelines, at any patch."""

import pytest
import torch
from diffusers import LTXConditionPipeline

from models.decoder.grid import GridError, VideoGrid
from models.decoder.vae import LatentGeometry

PATCHES = [(1, 1, 1), (1, 2, 2), (2, 2, 2)]


def grid_of(patch: tuple[int, int, int]) -> VideoGrid:
    return VideoGrid(4, 6, 8, LatentGeometry(channels=5, spatial=16, temporal=4), fps=24.0, patch=patch)


@pytest.mark.parametrize("patch", PATCHES)
def test_packing_is_that_of_the_pipeline_and_has_an_inverse(patch):
    grid, latents = grid_of(patch), torch.randn(2, 5, 4, 6, 8)
    tokens = grid.pack(latents)
    assert tokens.shape == (2, grid.tokens, grid.channels)
    assert torch.equal(tokens, LTXConditionPipeline._pack_latents(latents, patch[1], patch[0]))
    assert torch.equal(grid.unpack(tokens), latents)


@pytest.mark.parametrize("patch", PATCHES[:2])
def test_coordinates_are_those_of_the_condition_pipeline(patch):
    grid = grid_of(patch)
    axes = [torch.arange(0, length, step) for length, step in zip(grid.shape, patch)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)[None]
    expected = LTXConditionPipeline._scale_video_ids(places, scale_factor=16, scale_factor_t=4)[0].float()
    expected[0] /= 24.0
    assert torch.equal(grid.coordinates(), expected)


def test_latents_that_the_patches_do_not_tile_are_refused():
    with pytest.raises(GridError, match=r"4x6x8 .* patches of 1x4x4"):
        grid_of((1, 4, 4))
    with pytest.raises(GridError, match=r"1x6x8 .* patches of 2x2x2"):
        grid_of((2, 2, 2)).pack(torch.zeros(1, 5, 1, 6, 8))
