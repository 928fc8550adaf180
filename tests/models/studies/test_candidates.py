"""Candidate futures come from the context alone, and those of one seed from the same draws every time."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from models.decoder.sampling import SamplingConfig
from models.predict.sampling import load
from models.studies.candidates import Draws
from models.studies.ways import Candidate
from tests.models.predict import toy as world

NAMES = get_args(Candidate)


@pytest.fixture(scope="module")
def draws(tmp_path_factory) -> Draws:
    folder = tmp_path_factory.mktemp("predictor")
    made = world.train(folder / "predictor", world.phase3(folder).checkpoint)
    return Draws(load(made.checkpoint, world.small.toy_generator()), SamplingConfig(2), seed=3, batch=2)


@pytest.fixture(scope="module")
def found(draws) -> dict[Candidate, torch.Tensor]:
    data = world.context_data()
    return draws.of(NAMES, data, data.held_out)


def test_the_context_stays_and_each_candidate_has_a_future_of_its_own(found):
    data, known = world.context_data(), world.HORIZON.known
    true = torch.from_numpy(data.latents(data.held_out)).float()
    for latents in found.values():
        assert torch.allclose(latents[:, :, :known], true[:, :, :known], atol=1e-5)
        assert latents.isfinite().all()
    futures = [
        latents[:, :, known:] for name, latents in found.items() if name != "onward"
    ]  # one known frame: as still
    assert all(not torch.equal(one, other) for i, one in enumerate(futures) for other in futures[:i])


def test_what_came_changes_no_candidate(draws, found):
    data, known = world.context_data(), world.HORIZON.known

    def spoilt(ids):
        latents = np.array(data.latents(ids))
        latents[:, :, known:] = 9
        return latents

    again = draws.of(NAMES, replace(data, latents=spoilt), data.held_out)
    assert all(torch.equal(again[name], found[name]) for name in NAMES)


def test_two_seeds_share_no_draw(draws, found):
    data = world.context_data()
    other = replace(draws, seed=4).of(["drawn", "again"], data, data.held_out)
    mine = [found["drawn"], found["again"]]
    assert all(not torch.equal(one, another) for one in mine for another in other.values())
