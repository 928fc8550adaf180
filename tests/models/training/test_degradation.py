"""Stream dropout in the phases that have both streams (§2.1): either may be absent later, its null in its place."""

import dataclasses

import numpy as np
import pytest
import torch

from models.training import phase2, phase3
from models.training.objective import ObjectiveConfig
from models.training.recipe import load_fusion
from models.training.reconstruct import conditionings
from tests.models.training import toy

LATENTS = ObjectiveConfig(pixel_every=0)
STREAMS = ("spatial", "semantic")


def hybrid(folder, stream_dropout: float, **choices):
    config = phase2.Phase2Config(
        dataclasses.replace(toy.FUSION, stream_dropout=stream_dropout), "hybrid", toy.loop(**choices), LATENTS
    )
    return phase2.run(config, toy.data(), folder).checkpoint


def nulls(checkpoint) -> dict[str, torch.Tensor]:
    fusion = load_fusion(checkpoint)
    return {name: getattr(fusion, name).null.detach().clone() for name in STREAMS}


def test_the_default_drops_streams():
    assert 0 < type(toy.FUSION).stream_dropout < 0.5


@pytest.mark.parametrize("phase", [2, 3])
def test_both_nulls_learn_in_each_phase_that_has_both_streams_and_only_by_dropout(tmp_path, phase):
    def trained(stream_dropout: float, begin):
        loop = toy.loop(steps=8, batch=10)
        fusion = dataclasses.replace(toy.FUSION, stream_dropout=stream_dropout)
        folder = tmp_path / f"{phase}-{stream_dropout}"
        if phase == 2:
            config = phase2.Phase2Config(fusion, "hybrid", loop, LATENTS)
            return phase2.run(config, toy.data(), folder, start=begin).checkpoint
        config = phase3.Phase3Config(fusion, loop, fusion_rate=1.0, lora_rank=2)
        return phase3.run(config, toy.data(), folder, generator=toy.Generator(), start=begin).checkpoint

    begin = hybrid(tmp_path / "begin", 0.5)
    before, with_, without = nulls(begin), nulls(trained(0.5, begin)), nulls(trained(0.0, begin))
    for stream in STREAMS:
        assert torch.equal(without[stream], before[stream])
        assert not torch.equal(with_[stream], before[stream])


def test_a_hybrid_keeps_what_one_stream_holds_when_the_other_is_absent(tmp_path):
    """The latents lie in the spatial tokens, what is said in the semantic ones. Errors are shares of the variance."""
    data, ids = toy.data(), toy.data().ids
    true, said = data.latents(ids).astype(np.float32), data.captions(ids)

    def errors(stream_dropout: float) -> dict[str, float]:
        fusion = load_fusion(
            hybrid(tmp_path / str(stream_dropout), stream_dropout, steps=200, batch=8, checkpoint_every=200)
        )
        seen = {arm: conditionings(fusion, data, ids, arm) for arm in ("dino_only", "vlm_only")}
        return {
            "latents without semantic": float(np.mean((seen["dino_only"].latents - true) ** 2) / true.var()),
            "captions without spatial": float(np.mean((seen["vlm_only"].semantic - said) ** 2) / said.var()),
        }

    without, with_ = errors(0.0), errors(0.3)
    print({"without dropout": without, "with": with_})
    assert max(with_.values()) < 0.1
    assert without["captions without spatial"] > 0.5
