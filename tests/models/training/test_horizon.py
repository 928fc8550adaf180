"""What is known and what is foretold, and the baselines that need no model."""

import numpy as np
import pytest
import torch

from models.training.horizon import Horizon, HorizonError, copied, errors_ahead, extrapolated, padded, with_context


def test_a_horizon_counts_frames_as_the_vae_does():
    horizon = Horizon(frames=9, context=7, step=2)
    assert (horizon.ahead, horizon.known, horizon.latent_frames) == (2, 4, 5)
    assert Horizon(frames=9, context=1, step=8).known == 1


@pytest.mark.parametrize(("frames", "context", "step"), [(9, 9, 2), (9, 0, 2), (9, 6, 2), (8, 5, 2), (9, 3, 8)])
def test_a_context_that_does_not_fit_is_refused(frames, context, step):
    with pytest.raises(HorizonError, match="context of"):
        Horizon(frames, context, step)


def test_the_future_holds_nothing():
    tokens = padded(np.ones((2, 3, 4)), 5)
    assert tokens.shape == (2, 5, 4)
    assert tokens[:, :3].all()
    assert not tokens[:, 3:].any()
    assert not padded(np.ones((2, 3), bool), 5)[:, 3:].any()
    with pytest.raises(HorizonError, match="6 steps"):
        padded(np.ones((2, 6)), 5)


def test_baselines_know_the_context_alone():
    latents = torch.arange(5.0)[None, None, :, None, None].expand(1, 2, 5, 3, 3).clone()
    latents[:, :, 3:] = torch.nan
    assert copied(latents, 3)[0, 0, :, 0, 0].tolist() == [0, 1, 2, 2, 2]
    assert extrapolated(latents, 3)[0, 0, :, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert extrapolated(latents, 1)[0, 0, :, 0, 0].tolist() == [0, 0, 0, 0, 0]


def test_errors_are_of_each_foretold_frame():
    true, made = torch.zeros(2, 1, 3, 2, 2), torch.zeros(2, 1, 3, 2, 2)
    made[:, :, 0], made[:, :, 1], made[1, :, 2] = 9.0, 1.0, 2.0
    assert errors_ahead(made, true, 1).tolist() == [[1, 0], [1, 4]]


def test_the_context_is_put_before_what_was_made():
    made, context = torch.ones(1, 1, 3, 2, 2), torch.zeros(1, 1, 2, 2, 2, dtype=torch.float16)
    whole = with_context(made, context)
    assert whole.dtype == torch.float32
    assert whole.mean((0, 1, 3, 4)).tolist() == [0, 0, 1]
