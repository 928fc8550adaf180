"""Errors by clip are the objective's own terms, clip by clip."""

import numpy as np
import pytest
import torch

from models.studies.errors import caption_errors, errors, latent_errors
from models.training.losses import caption, latent_mse
from models.training.reconstruct import Conditionings

RNG = np.random.default_rng(0)
LATENTS = RNG.standard_normal((5, 4, 2, 3, 3)).astype(np.float16)
CAPTIONS = RNG.standard_normal((5, 2, 8)).astype(np.float32)


def made(latents: np.ndarray, captions: np.ndarray) -> Conditionings:
    return Conditionings(latents.astype(np.float32), captions, np.zeros((5, 2, 9, 1), np.float32))


def test_the_mean_over_clips_is_the_loss_of_the_batch():
    guess, said = RNG.standard_normal(LATENTS.shape), RNG.standard_normal(CAPTIONS.shape).astype(np.float32)
    whole = latent_mse(torch.from_numpy(guess), torch.from_numpy(LATENTS))
    assert latent_errors(guess, LATENTS).mean() == pytest.approx(whole.item(), rel=1e-5)
    told = caption(torch.from_numpy(said), torch.from_numpy(CAPTIONS))
    assert caption_errors(said, CAPTIONS).mean() == pytest.approx(told.item(), rel=1e-5)


def test_a_clip_counts_in_its_own_error_alone():
    guess = LATENTS.astype(np.float32)
    guess[3] += 2
    assert latent_errors(guess, LATENTS) == pytest.approx([0, 0, 0, 4, 0])
    said = CAPTIONS.copy()
    said[1] = -said[1]
    found = caption_errors(said, CAPTIONS)
    assert found[1] > 2
    assert np.abs(np.delete(found, 1)).max() < 1e-6


def test_shuffled_conditioning_is_another_clips():
    found = errors(made(LATENTS, CAPTIONS), LATENTS, CAPTIONS, seed=0)
    assert found["latent"].max() == 0
    assert found["latent_shuffled"].min() > 0.5
