"""A predictor goes on from Phase 3, is shown the context alone, and says in its checkpoint what it foretells."""

from dataclasses import replace

import pytest
import torch

from models.data.moving_shapes import render_clip
from models.training import prediction
from models.training.checkpoint import CheckpointError, read
from models.training.config import ConfigError
from models.training.horizon import Horizon
from models.training.recipe import load_fusion
from tests.models.predict import toy as world
from tests.models.training import toy


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return world.phase3(tmp_path_factory.mktemp("phases")).checkpoint


def test_it_starts_where_phase_3_ended(tmp_path, start):
    told = []
    made = prediction.run(
        world.config(loop=toy.loop(steps=1, learning_rate=1e-9)),
        world.context_data(),
        tmp_path,
        lambda *said: told.append(said[3]),
        generator=world.small.toy_generator(),
        start=start,
    )
    before, after = read(start).weights(), read(made.checkpoint).tensors("model")
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_the_generator_is_told_the_contexts_latents_and_the_fusions_future(tmp_path, start, monkeypatch):
    seen = []
    real = world.small.LTXGenerator.velocity

    def velocity(self, noisy, sigma, conditions):
        seen.append(conditions.latents.detach())
        return real(self, noisy, sigma, conditions)

    monkeypatch.setattr(world.small.LTXGenerator, "velocity", velocity)
    loop = toy.loop(steps=1, batch=10)
    data, generator = world.context_data(), world.small.toy_generator()
    task_config = world.config(loop=loop, heldout_every=9)
    prediction.run(task_config, data, tmp_path, generator=generator, start=start)
    cells = toy.SIDE**2
    given = {tuple(row.flatten().tolist()) for row in seen[0][:, :cells]}
    true = generator.pack(torch.from_numpy(data.latents(data.ids)).float())
    assert given == {tuple(row.flatten().tolist()) for row in true[:, :cells]}
    future = {tuple(row.flatten().tolist()) for row in seen[0][:, cells:]}
    assert not future & {tuple(row.flatten().tolist()) for row in true[:, cells:]}


def test_what_comes_changes_nothing_of_what_is_told(start):
    """Two clips that are alike in their context and not after it are foretold alike."""
    fusion = load_fusion(start)
    data = prediction.at_full_length(world.context_data(), toy.FUSION)
    assert data.spatial is not None
    tokens = data.spatial.tokens(data.ids[:2])
    assert tokens.tokens.shape[1] == toy.FRAMES
    assert not tokens.mask[:, 1:].any()
    other = replace(tokens, tokens=torch.where(tokens.mask[..., None], tokens.tokens, 1e4))
    with torch.no_grad():
        assert torch.equal(fusion(tokens, None).latent_tokens, fusion(other, None).latent_tokens)


def test_held_out_errors_stand_beside_those_of_baselines(tmp_path, start):
    told = []
    prediction.run(
        world.config(),
        world.context_data(),
        tmp_path,
        lambda *said: told.append(said[3]),
        generator=world.small.toy_generator(),
        start=start,
    )
    data = world.context_data()
    latents = torch.from_numpy(data.latents(data.held_out)).float()
    still = (latents[:, :, 1] - latents[:, :, 0]).square().mean().item()
    assert told[2]["heldout_latent_copy_last"] == pytest.approx(still, rel=1e-4)
    assert told[2]["heldout_latent_extrapolated"] == pytest.approx(still, rel=1e-4)
    assert told[2]["heldout_latent_future"] > 0


def test_the_horizon_is_part_of_the_checkpoint(tmp_path, start):
    made = world.train(tmp_path, start)
    assert read(made.checkpoint).setting("horizon", Horizon) == world.HORIZON


def test_a_start_without_adapters_and_a_horizon_of_other_clips_are_refused(tmp_path, start):
    phase2 = sorted((start.parents[2] / "phase2" / "checkpoints").iterdir())[-1]
    with pytest.raises(CheckpointError, match="not of Phase 3"):
        world.train(tmp_path, phase2)
    with pytest.raises(ConfigError, match="3 latent frames"):
        world.config(horizon=Horizon(5, 1, 2))


@pytest.mark.parametrize("network", [pytest.param("standin", id="the stand-in"), pytest.param("small", id="random")])
def test_the_vaes_first_latent_frames_are_those_of_the_context_alone(network):
    """The VAE's encoder is causal: a context's latents, taken from those of the whole clip, hold nothing that comes."""
    from models.decoder.vae import LTXVae
    from models.standins import shelf
    from tests.models.decoder import small

    vae = LTXVae.load(shelf.folder("vae")) if network == "standin" else small.vae(4, patch=1, scalings=1)
    frames = torch.from_numpy(render_clip(3).frames)[None]
    torch.testing.assert_close(vae.encode(frames)[:, :, :4], vae.encode(frames[:, :7]), atol=1e-4, rtol=1e-4)
