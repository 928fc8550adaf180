"""The shipped decoder: its round trip, and how it follows its conditions."""

import pytest
import torch

from models.data.moving_shapes import render_clip
from models.decoder.captions import CaptionEncoder
from models.decoder.conditions import Conditions
from models.decoder.grid import VideoGrid
from models.decoder.ltx import LTXGenerator
from models.decoder.sampling import SamplingConfig, sample
from models.decoder.vae import LatentGeometry, LTXVae, to_uint8, to_unit_range
from models.standins import shelf


@pytest.fixture(scope="module")
def vae():
    return LTXVae.load(shelf.folder("vae"))


@pytest.fixture
def generator(vae):
    return LTXGenerator.load(shelf.folder("ltx"), VideoGrid(5, 8, 8, vae.geometry))


def test_geometry_is_the_checkpoints_and_odd_clips_are_refused(vae):
    assert vae.geometry == LatentGeometry(channels=64, spatial=8, temporal=2)
    assert vae.geometry.shape(9, 64, 48) == (5, 8, 6)
    with pytest.raises(ValueError, match=r"2k\+1 frames and multiples of 8"):
        vae.encode(torch.zeros(1, 8, 64, 64, 3, dtype=torch.uint8))


@pytest.mark.parametrize(("height", "width"), [(4, 4), (61, 64), (64, 83)])
def test_clips_smaller_than_a_cell_and_odd_sizes_are_refused(vae, height, width):
    with pytest.raises(ValueError, match=rf"1 frames of {height}x{width} does not fit the VAE: .* multiples of 8"):
        vae.encode(torch.zeros(1, 1, height, width, 3, dtype=torch.uint8))


def test_one_frame_is_a_clip_of_one_latent_frame(vae):
    frame = torch.from_numpy(render_clip(5_000_000).frames)[None, :1]
    latents = vae.encode(frame)
    assert latents.shape == (1, 64, 1, 8, 8)
    with torch.no_grad():
        made = vae.decode(latents)
    assert made.shape == (1, 3, 1, 64, 64)
    assert (made - to_unit_range(frame)).abs().mean() < 0.5 * (made - to_unit_range(frame).flip(-1)).abs().mean()


def test_uint8_survives_the_unit_range():
    frames = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 1, 16, 16, 3)
    assert torch.equal(to_uint8(to_unit_range(frames)), frames)


def test_latents_are_normalised_and_the_round_trip_is_close(vae):
    frames = torch.stack([torch.from_numpy(render_clip(5_000_000 + k).frames) for k in range(8)])
    latents = vae.encode(frames)
    assert latents.shape == (8, 64, 5, 8, 8)
    assert latents.mean().abs() < 0.3
    assert 0.6 < latents.std() < 1.4
    with torch.no_grad():
        made = vae.decode(latents)
    shuffled = made.roll(1, dims=0)
    truth = to_unit_range(frames)
    assert (made - truth).abs().mean() < 0.3 * (shuffled - truth).abs().mean()


def test_decoding_is_differentiable_but_the_weights_stay(vae):
    latents = torch.zeros(1, 64, 5, 8, 8, requires_grad=True)
    vae.decode(latents).sum().backward()
    assert latents.grad is not None
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_sampling_is_repeatable_and_follows_its_condition(vae, generator):
    frames = torch.stack([torch.from_numpy(render_clip(5_000_000 + k).frames) for k in range(4)])
    latents = vae.encode(frames)
    semantic = CaptionEncoder.load(shelf.folder("ltx"))(["a large plain red circle moves up then left"] * 4)

    def draw(**conditions):
        told = Conditions(*semantic, **conditions)
        return sample(generator, told, SamplingConfig(steps=4, strength=0.5), torch.Generator().manual_seed(1))

    tokens = generator.pack(latents)
    first, again, free = draw(latents=tokens), draw(latents=tokens), draw()
    assert torch.equal(first, again)
    assert (first - latents).square().mean() < 0.5 * (free - latents).square().mean()
    begun = draw(initial=tokens)
    assert (begun - latents).square().mean() < 0.5 * (free - latents).square().mean()
