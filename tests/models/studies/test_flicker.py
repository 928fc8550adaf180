"""Flicker is change without a cause: motion is none, noise is, and a frozen clip has none of either."""

import numpy as np
import pytest

from models.data.moving_shapes import render_clip
from models.evaluation.disturbances import freeze, noise
from models.evaluation.inputs import MetricInputError
from models.studies.flicker import Still, change, dtssd, token_change

STILL = Still(levels=4, margin=1)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def true() -> np.ndarray:
    return np.stack([render_clip(seed).frames for seed in range(4)])


def test_what_moves_is_not_still_and_what_is_still_does_not_flicker(true):
    places = STILL.places(true)
    assert 0.2 < places.mean() < 0.95
    assert change(true, places).max() <= 4
    masks = np.stack([render_clip(seed).masks for seed in range(4)])
    coming = np.abs(np.diff(masks.astype(int), axis=1)).max(1) > 0
    assert not (places & coming).any()
    assert (change(true, ~places).mean(1) > 3 * change(true, places).mean(1)).all()


def test_noise_flickers_by_what_it_is_and_a_frozen_clip_by_nothing(true):
    places = STILL.places(true)
    drawn = change(noise(true), places).mean()
    assert drawn == pytest.approx(12 * 2 / np.sqrt(np.pi), rel=0.1)  # mean |difference| of two normal draws
    assert change(freeze(true), places).max() == 0


def test_one_flash_shows_in_its_two_steps_alone(true):
    flashed = freeze(true)
    flashed[:, 4] = 255 - flashed[:, 4]
    steps = change(flashed, STILL.places(true))
    assert (steps[:, [3, 4]] > 2).all()
    assert (np.delete(steps, [3, 4], axis=1) == 0).all()


def test_a_clip_in_which_hardly_anything_stands_still_has_no_flicker():
    clip = RNG.integers(0, 256, (1, 5, 32, 32, 3), dtype=np.uint8)
    assert np.isnan(change(clip, STILL.places(clip))).all()


def test_dtssd_sees_motion_that_is_missing_and_flicker_that_is_not_in_the_truth_but_no_constant_error(true):
    darker = (true // 2 + 20).astype(np.uint8)
    lighter = (darker + 30).astype(np.uint8)
    assert dtssd(darker, lighter).max() == 0
    assert (dtssd(true, freeze(true)) > 2).all()
    assert (dtssd(true, noise(true)) > 2).all()


def test_tokens_that_drift_do_not_flicker_and_noisy_ones_score_one():
    still = np.ones((3, 8, 8), bool)
    base = RNG.standard_normal((3, 1, 16, 6))
    drift = base + 0.1 * np.arange(5)[None, :, None, None]
    steady = token_change(drift.astype(np.float16), still)
    assert (steady.still > 0).all()
    assert steady.flicker.max() < 1e-4
    noisy = token_change(RNG.standard_normal((200, 5, 16, 6)), np.ones((200, 8, 8), bool))
    assert noisy.still.mean() == pytest.approx(1, rel=0.05)
    assert noisy.flicker.mean() == pytest.approx(1, rel=0.05)


def test_only_cells_that_are_wholly_still_count_as_still():
    still = np.ones((1, 8, 8), bool)
    still[0, 0, 0] = False
    tokens = np.zeros((1, 3, 16, 2))
    tokens[0, 1, 0] = 5  # the cell of the place that moves
    tokens[0, :, 5] = 1  # some spread between cells
    found = token_change(tokens, still)
    assert found.still[0] == 0
    assert found.moving[0] > 0


def test_tokens_that_do_not_tile_the_places_are_refused():
    with pytest.raises(MetricInputError, match="square grid"):
        token_change(np.zeros((1, 3, 9, 2)), np.ones((1, 8, 8), bool))
