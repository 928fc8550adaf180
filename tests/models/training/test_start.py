"""Where training starts (ADR 7): at the best linear map of what the layers read, solved on the clips to train on."""

import dataclasses

import numpy as np
import pytest
import torch

from models.fusion.base import Fusion
from models.fusion.conditioning import cells_of
from models.fusion.config import FusionConfig
from models.training.data import DataError, TrainingData, read_batch
from models.training.recipe import new_fusion
from models.training.start import start_from
from tests.models.training import toy

FUSION = dataclasses.replace(toy.FUSION, dim=64, layers=2)


def before(data: TrainingData) -> TrainingData:
    """Latents of a frame are a map of the tokens of this frame and of the one before."""

    def latents(ids) -> np.ndarray:
        now = data.latents(ids)
        return (now + np.concatenate([np.zeros_like(now[:, :, :1]), now[:, :, :-1]], axis=2)).astype(np.float16)

    return dataclasses.replace(data, latents=latents)


def started(config: FusionConfig, data: TrainingData, arm: str) -> Fusion:
    fusion = new_fusion(config, data, arm, 0, "cpu")
    start_from(fusion, data, arm)
    return fusion.eval()


def error(data: TrainingData, config=FUSION) -> float:
    """Of held-out latents, as a share of their variance, before any step."""
    fusion = started(config, data, "dino_only")
    batch = read_batch(data, data.held_out, arm="dino_only")
    wanted = cells_of(batch.latents)
    with torch.no_grad():
        made = fusion(batch.spatial, batch.semantic).latent_tokens
    return ((made - wanted).square().mean() / wanted.var()).item()


def test_a_linear_map_of_a_cells_own_token_is_there_before_the_first_step():
    assert error(toy.data()) < 0.3


def test_the_second_layer_brings_the_frame_before():
    data = before(toy.data())
    assert error(data) < 0.8 * error(data, dataclasses.replace(FUSION, layers=1))


@pytest.mark.parametrize("kind", ["perceiver", "film"])
def test_every_kind_that_sees_places_has_its_start(kind):
    assert error(toy.data(), dataclasses.replace(FUSION, kind=kind)) < 0.3


def test_one_query_for_all_frames_starts_at_what_it_can_know():
    assert error(toy.data(), dataclasses.replace(FUSION, global_queries=True)) < 0.75


def test_the_start_is_that_of_the_seed_and_the_data():
    first, again = (started(FUSION, toy.data(), "hybrid").state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_clip_that_is_not_finite_is_named():
    data = toy.data()
    good = data.latents

    def bad(ids) -> np.ndarray:
        values = good(ids).copy()
        values[[clip == "3" for clip in ids]] = np.nan
        return values

    with pytest.raises(DataError, match=r"start: 0, 1, 2, 3, .* have tokens or latents that are not finite"):
        started(FUSION, dataclasses.replace(data, latents=bad), "dino_only")
