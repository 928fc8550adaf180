"""Phase 3: adapters and fusion learn, nothing frozen does, by the routes that are open and from any generator."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from models.decoder.conditions import Conditions, by_route
from models.decoder.lora import load_lora
from models.decoder.routes import Routes
from models.decoder.sampling import SamplingConfig, sample
from models.training import phase2, phase3
from models.training.checkpoint import CheckpointError, read, save
from models.training.generator import load_generator
from models.training.objective import ObjectiveConfig
from models.training.recipe import load_fusion
from tests.models.decoder import small
from tests.models.training import toy


def phase3_config(**choices) -> phase3.Phase3Config:
    fields = {"loop": toy.loop(steps=80, checkpoint_every=40), "lora_rank": 4, "heldout_every": 40, **choices}
    return phase3.Phase3Config(toy.FUSION, **fields)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    config = phase2.Phase2Config(toy.FUSION, "hybrid", toy.loop(), ObjectiveConfig(pixel_every=0))
    return phase2.run(config, toy.data(), tmp_path_factory.mktemp("phase2")).checkpoint


def test_adapters_and_fusion_train_and_nothing_frozen(tmp_path, start):
    generator = toy.Generator()
    base = generator.base.weight.clone()
    told = []
    result = phase3.run(
        phase3_config(condition_dropout=0.5),
        toy.data(),
        tmp_path,
        lambda *p: told.append(p[3]),
        generator=generator,
        start=start,
    )
    assert torch.equal(generator.base.weight, base)
    assert generator.base.weight.grad is None
    assert not generator.checkpointing
    assert told[-1]["heldout_flow"] < told[39]["heldout_flow"]
    assert {"heldout_flow_0.1", "heldout_flow_0.9"} <= told[-1].keys()
    assert any(name.startswith("loss_sigma_") for name in told[0])
    names = read(result.checkpoint).tensors("model").keys()
    assert {"null", "lora.down.weight", "lora.up.weight"} <= names
    assert not any("base" in name for name in names)
    started, ended = load_fusion(start).state_dict(), load_fusion(result.checkpoint).state_dict()
    assert any(not torch.equal(started[k], ended[k]) for k in started)


def first_step(tmp_path, start, **choices) -> Conditions:
    """What the generator is told in one step of 10 clips."""
    generator = toy.Generator()
    config = phase3_config(loop=toy.loop(steps=1, batch=10), **choices)
    phase3.run(config, toy.data(), tmp_path, generator=generator, start=start)
    return generator.told[0]


def dropped(conditions: Conditions) -> int:
    """Clips that were told the null, which begins at 0."""
    return int((conditions.semantic == 0).flatten(1).all(1).sum())


def test_the_null_stands_in_for_what_is_said_now_and_then(tmp_path, start):
    conditions = first_step(tmp_path, start, condition_dropout=0.5)
    assert 0 < dropped(conditions) < 10
    assert conditions.latents is not None
    assert conditions.initial is None


def test_a_closed_route_brings_nothing(tmp_path, start):
    silent = first_step(tmp_path / "where", start, routes=Routes(cross_attention=False), condition_dropout=0.0)
    assert dropped(silent) == 10
    assert silent.latents is not None
    blind = first_step(tmp_path / "what", start, routes=Routes(latent_tokens=False), condition_dropout=0.0)
    assert dropped(blind) == 0
    assert blind.latents is None


def test_a_run_resumes_bit_for_bit_with_its_sigmas(tmp_path, start):
    def run(folder, progress=lambda *_: None):
        config = phase3_config(loop=toy.loop(steps=10), heldout_every=2)
        return phase3.run(config, toy.data(), tmp_path / folder, progress, generator=toy.Generator(), start=start)

    def stop(what, done, total, numbers):
        if done == 5:
            raise KeyboardInterrupt

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stop)
    resumed = run("stopped")
    assert resumed.losses == whole.losses
    first, second = toy.weights(whole.checkpoint), toy.weights(resumed.checkpoint)
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_the_adapters_of_a_run_go_into_a_fresh_generator(tmp_path, start):
    generator, fresh = toy.Generator(), toy.Generator()
    routes = Routes(initial_latents=True)
    config = phase3_config(loop=toy.loop(), routes=routes)
    result = phase3.run(config, toy.data(), tmp_path, generator=generator, start=start)
    adapted = load_generator(result.checkpoint, fresh)
    assert adapted.null.shape == (2, toy.CAPTION)
    assert adapted.routes == routes
    assert all(torch.equal(a, b) for a, b in zip(generator.parameters(), fresh.parameters()))
    averaged = read(result.checkpoint).weights()["lora.up.weight"]
    assert torch.equal(load_file(tmp_path / "lora" / "adapters.safetensors")["up"], averaged)
    with pytest.raises(CheckpointError, match="not of Phase 3"):
        load_generator(start, toy.Generator())


def test_adapters_of_an_older_version_or_another_generator_are_refused_in_one_line(tmp_path, start):
    config = phase3_config(loop=toy.loop())
    found = read(phase3.run(config, toy.data(), tmp_path, generator=toy.Generator(), start=start).checkpoint)
    with pytest.raises(CheckpointError, match=r"is of another model: \d+ tensors differ"):
        load_generator(found.path, small.toy_generator())
    del found.identity["config"]["routes"]
    older = save(tmp_path / "older", 6, {"model": found.weights()}, {"identity": found.identity}, keep=1)
    with pytest.raises(CheckpointError, match="its configuration has no usable routes"):
        load_generator(older, toy.Generator())


def test_a_run_of_other_routes_is_not_gone_on_with(tmp_path, start):
    config = phase3_config(loop=toy.loop())
    phase3.run(config, toy.data(), tmp_path, generator=toy.Generator(), start=start)
    other = dataclasses.replace(config, routes=Routes(latent_tokens=False))
    with pytest.raises(CheckpointError, match=r"config.routes.latent_tokens: True then, False now"):
        phase3.run(other, toy.data(), tmp_path, generator=toy.Generator(), start=start)


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize(
    "routes",
    [Routes(), Routes(cross_attention=False), Routes(False, False, True)],
    ids=["default", "no cross-attention", "initial latents only"],
)
def test_the_real_classes_train_sample_and_leave_their_adapters(tmp_path, start, patch, routes):
    """LTX's transformer of two patch sizes, checkpointed, resumed after its first checkpoint."""

    def generator():
        network = small.transformer(toy.CHANNELS * patch**2, captions=toy.CAPTION, patch=patch)
        return small.generator(network, small.TOY_GRID)

    def stop(what, done, total, numbers):
        if done == 2:
            raise KeyboardInterrupt

    config = phase3_config(
        loop=toy.loop(steps=3, checkpoint_every=1), routes=routes, gradient_checkpointing=True, heldout_every=1
    )
    with pytest.raises(KeyboardInterrupt):
        phase3.run(config, toy.data(), tmp_path, stop, generator=generator(), start=start)
    trained, fresh, exported = generator(), generator(), generator()
    result = phase3.run(config, toy.data(), tmp_path, generator=trained, start=start)
    adapted = load_generator(result.checkpoint, fresh)
    load_lora(exported.transformer, tmp_path / phase3.LORA_FOLDER)

    latents = torch.from_numpy(toy.data().latents(["0", "1"])).float()
    told = by_route(adapted.routes, fresh.pack(latents), torch.randn(2, 2, toy.CAPTION), adapted.null)
    drawn = [
        sample(one, told, SamplingConfig(steps=2), torch.Generator().manual_seed(0))
        for one in (trained, fresh, exported)
    ]
    assert drawn[0].shape == latents.shape
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
