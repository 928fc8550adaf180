"""Noise levels and their buckets, against diffusers' own functions."""

import pytest
import torch
from diffusers.training_utils import compute_density_for_timestep_sampling

from models.decoder.grid import VideoGrid
from models.decoder.vae import LatentGeometry
from models.standins.ltx import build_scheduler
from models.training.flow import QUANTILES, by_bucket, draw_sigma, mix, quantile_sigma
from tests.models.decoder import small

SHIFTS = (0.0, 0.95, 2.05)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("shift", SHIFTS)
def test_noise_levels_are_a_shifted_logit_normal(shift):
    drawn = draw_sigma(1000, shift, seeded())
    shifted = compute_density_for_timestep_sampling(
        "logit_normal", 1000, logit_mean=shift, logit_std=1.0, generator=seeded()
    )
    torch.testing.assert_close(drawn, shifted)
    plain = compute_density_for_timestep_sampling(
        "logit_normal", 1000, logit_mean=0.0, logit_std=1.0, generator=seeded()
    )
    torch.testing.assert_close(drawn, build_scheduler().time_shift(shift, 1.0, plain))


@pytest.mark.parametrize("shift", SHIFTS)
def test_quantiles_split_the_drawn_levels(shift):
    drawn = draw_sigma(200_000, shift, seeded())
    for quantile in QUANTILES:
        assert (drawn < quantile_sigma(quantile, shift)).float().mean().item() == pytest.approx(quantile, abs=0.005)
    assert quantile_sigma(0.5, shift) == pytest.approx(1 / (1 + torch.tensor(-shift).exp().item()))


@pytest.mark.parametrize(("tokens", "shift"), [(1024, 0.95), (4096, 2.05), (2560, 1.5)])
def test_the_shift_is_that_of_ltx_at_its_lengths(tokens, shift):
    """The line through the two lengths of LTX's schedule: 0.95 at 1,024 tokens and 2.05 at 4,096."""
    grid = VideoGrid(tokens // 256, 16, 16, LatentGeometry(4, 2, 2))
    assert small.generator(small.transformer(4), grid).shift == pytest.approx(shift)
    patched = VideoGrid(tokens // 64, 16, 16, LatentGeometry(4, 2, 2))
    assert small.generator(small.transformer(16, patch=2), patched).shift == pytest.approx(shift)


def test_the_path_is_the_schedulers_and_its_velocity_leads_back():
    scheduler = build_scheduler()
    scheduler.set_timesteps(sigmas=[1.0, 0.6, 0.3], mu=0.9)
    latents, noise = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    sigma = scheduler.sigmas[1]
    noisy, velocity = mix(latents, noise, sigma.expand(2))
    torch.testing.assert_close(noisy, scheduler.scale_noise(latents, scheduler.timesteps[1:2], noise))
    torch.testing.assert_close(noisy - sigma * velocity, latents)


def test_losses_are_averaged_by_quarter_of_the_levels():
    losses, sigma = torch.tensor([1.0, 3.0, 5.0, 7.0]), torch.tensor([0.0, 0.2, 0.5, 1.0])
    assert by_bucket(losses, sigma, sigma) == {"loss_sigma_0": 2.0, "loss_sigma_2": 5.0, "loss_sigma_3": 7.0}
