"""What an evaluation generates: every arm, and the hybrid's own checkpoint with a stream absent (§2.1)."""

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from models.training import phase1, phase2
from models.training.objective import ObjectiveConfig
from models.training.recipe import load_fusion
from models.training.reconstruct import conditionings
from orchestration.documents import ABSENT
from orchestration.stages import generation
from orchestration.stages.training import ARMS, checkpoint
from tests.models.training import toy

LATENTS = ObjectiveConfig(pixel_every=0)


def finished(folder, results: dict[str, Any]):
    named = {arm: str(result.checkpoint.relative_to(folder)) for arm, result in results.items()}
    (folder / "result.json").write_text(json.dumps({"checkpoints": named}))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phase2")
    return finished(
        folder,
        {
            arm: phase2.run(phase2.Phase2Config(toy.FUSION, arm, toy.loop(), LATENTS), toy.data(), folder / arm)
            for arm in ARMS
        },
    )


def generate(phase: int, folder, data=None) -> generation.Made:
    torch.manual_seed(0)
    evaluation = SimpleNamespace(batch=4, seed=0)
    profile = SimpleNamespace(evaluation=evaluation, device="cpu")
    job: Any = SimpleNamespace(phase=phase, profile=profile, inputs={f"phase{phase}": folder})
    inputs: Any = SimpleNamespace(shards=SimpleNamespace(frames=toy.data().frames), vae=toy.Vae())
    data = data or toy.data()
    return generation.generate(job, inputs, data, data.ids, lambda *_: None)


def test_the_hybrid_without_a_stream_is_made_beside_the_arms_by_its_own_weights(trained):
    made, data = generate(2, trained), toy.data()
    assert set(made.arms) == set(ARMS)
    assert set(made.baselines) >= ABSENT.keys()
    hybrid = load_fusion(checkpoint(trained, "hybrid"))
    batch = data.spatial.tokens(data.ids), data.semantic.tokens(data.ids)
    with torch.no_grad():
        alone = {"without_semantic": hybrid(batch[0], None), "without_spatial": hybrid(None, batch[1])}
    for name, expected in alone.items():
        np.testing.assert_allclose(made.conditioning[name].latents, expected.latents(), atol=1e-5)
    frames = [*made.arms.values(), *(made.baselines[name] for name in ABSENT)]
    assert len({clips.tobytes() for clips in frames}) == len(frames)


@pytest.mark.parametrize(("name", "stream"), [("without_semantic", "semantic"), ("without_spatial", "spatial")])
def test_nothing_of_the_absent_stream_is_read(trained, name, stream):
    data = toy.data()
    source = getattr(data, stream)
    lost = dataclasses.replace(source, read=lambda ids: np.full_like(source.read(ids), np.nan))
    spoilt = generate(2, trained, dataclasses.replace(data, **{stream: lost}))
    assert np.array_equal(spoilt.baselines[name], generate(2, trained).baselines[name])
    assert np.isfinite(spoilt.conditioning[name].latents).all()


def test_the_arms_are_what_they_are_without_these_sets(trained):
    made, data = generate(2, trained), toy.data()
    for arm in ARMS:
        alone = conditionings(load_fusion(checkpoint(trained, arm)), data, data.ids, arm, batch=4)
        assert np.array_equal(made.conditioning[arm].latents, alone.latents)
        assert np.array_equal(made.conditioning[arm].semantic, alone.semantic)


def test_phase_1_has_one_stream_and_none_to_lose(tmp_path):
    result = phase1.run(phase1.Phase1Config(toy.FUSION, toy.loop(), LATENTS), toy.data(), tmp_path)
    made = generate(1, finished(tmp_path, {"dino_only": result}))
    assert set(made.arms) == {"dino_only"}
    assert not ABSENT.keys() & set(made.baselines)
