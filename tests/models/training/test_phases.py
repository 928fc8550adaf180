"""Phases 1 and 2: each learns what it should, touches nothing frozen, and treats its arms alike."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from models.fusion.config import FusionError
from models.training import phase1, phase2, phase3
from models.training.checkpoint import CheckpointError, read, save
from models.training.config import ConfigError, from_json, to_json
from models.training.data import ARMS, DataError, pool
from models.training.objective import ObjectiveConfig
from models.training.recipe import load_fusion, new_fusion
from models.training.reconstruct import conditionings, decode
from models.training.start import start_from
from tests.models.training import toy

LATENTS = ObjectiveConfig(pixel_every=0)


def test_phase1_learns_the_latents(tmp_path):
    loop = toy.loop(steps=150, batch=8, checkpoint_every=150)
    result = phase1.run(phase1.Phase1Config(toy.FUSION, loop, LATENTS), toy.data(), tmp_path)
    assert np.mean(result.losses[-10:]) < 0.1 * result.losses[0]
    fusion = load_fusion(result.checkpoint)
    made = conditionings(fusion, toy.data(), toy.data().ids, "dino_only", batch=4)
    true = toy.data().latents(toy.data().ids)
    assert np.mean((made.latents - true) ** 2) < 0.2 * true.astype(np.float32).var()


@pytest.mark.parametrize("kind", ["concat", "film", "perceiver"])
def test_every_kind_trains_and_comes_back(tmp_path, kind):
    config = phase1.Phase1Config(dataclasses.replace(toy.FUSION, kind=kind), toy.loop(steps=40), LATENTS)
    result = phase1.run(config, toy.data(), tmp_path)
    assert np.mean(result.losses[-5:]) < result.losses[0]
    assert load_fusion(result.checkpoint).config.kind == kind


@pytest.mark.parametrize("kind", ["qformer", "concat", "film", "perceiver"])
def test_every_kind_starts_from_whitened_tokens(kind):
    data = toy.data()
    fusion = new_fusion(dataclasses.replace(toy.FUSION, kind=kind), data, "hybrid", 0, "cpu")
    start_from(fusion, data, "hybrid")
    for stream, source in ((fusion.spatial, data.spatial), (fusion.semantic, data.semantic)):
        assert source is not None
        rows = stream.projection(stream.norm(source.tokens(data.ids).tokens)).flatten(0, -2)
        directions = rows.shape[1] - (rows.var(0) < 0.5).sum()
        # LayerNorm takes one direction away.
        assert directions == source.read(data.ids).shape[-1] - 1


def test_a_checkpoint_from_before_there_were_kinds_loads(tmp_path):
    found = read(phase1.run(phase1.Phase1Config(toy.FUSION, toy.loop(), LATENTS), toy.data(), tmp_path).checkpoint)
    for key in ("kind", "query_mode", "global_queries"):
        del found.identity["config"]["fusion"][key]
    older = save(tmp_path / "older", 6, {"model": found.weights()}, {"identity": found.identity}, keep=1)
    now, then = load_fusion(found.path).state_dict(), load_fusion(older).state_dict()
    assert all(torch.equal(now[name], then[name]) for name in now)


def test_phase1_looks_through_a_frozen_decoder(tmp_path):
    vae = toy.Vae()
    before = {k: v.clone() for k, v in vae.state_dict().items()}
    pixels = ObjectiveConfig(latent_weight=0.0, pixel_every=2, pixel_clips=2)
    config = phase1.Phase1Config(toy.FUSION, toy.loop(), pixels)
    told = []
    result = phase1.run(config, toy.data(), tmp_path, lambda *p: told.append(p[3]), vae=vae, perceptual=toy.distance)
    assert ["pixel" in numbers for numbers in told] == [True, False] * 3
    assert told[0]["grad_norm"] > 0  # through the decoder: the latent term weighs nothing here
    assert result.losses[1] == 0
    assert all(torch.equal(before[k], v) for k, v in vae.state_dict().items())
    assert all(p.grad is None for p in vae.parameters())


def test_pixels_without_a_decoder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="give both or set pixel_every=0"):
        phase1.run(phase1.Phase1Config(toy.FUSION, toy.loop()), toy.data(), tmp_path)


def arm_config(arm: str, **choices) -> phase2.Phase2Config:
    return phase2.Phase2Config(toy.FUSION, arm, toy.loop(**choices), LATENTS)


def test_arms_are_equal_in_all_but_what_they_see(tmp_path):
    read_ids = {}
    results = {}
    for arm in ARMS:
        data = toy.data()
        order, latents = [], data.latents
        object.__setattr__(data, "latents", lambda ids, order=order, latents=latents: order.append(ids) or latents(ids))
        results[arm] = phase2.run(arm_config(arm), data, tmp_path / arm)
        read_ids[arm] = order
    assert read_ids["hybrid"] == read_ids["vlm_only"] == read_ids["dino_only"]
    assert len({r.trainable_parameters for r in results.values()}) == 1
    assert len({r.steps for r in results.values()}) == 1
    assert len({r.losses[0] for r in results.values()}) == 3


def test_what_an_arm_does_not_see_does_not_matter(tmp_path):
    """The DINO-only arm gets the same with any VLM tokens, and none of the VLM's weights change."""
    other = toy.data()
    noise = np.random.default_rng(9).standard_normal((toy.CLIPS, toy.FRAMES, 4, 10)).astype(np.float32)
    object.__setattr__(other.semantic, "read", toy.reader(noise))
    first = phase2.run(arm_config("dino_only"), toy.data(), tmp_path / "a")
    second = phase2.run(arm_config("dino_only"), other, tmp_path / "b")
    assert first.losses == second.losses


def test_phase2_learns_captions_from_the_vlm(tmp_path):
    config = arm_config("hybrid", steps=200, batch=8, checkpoint_every=200)
    told = []
    result = phase2.run(config, toy.data(), tmp_path, lambda *p: told.append(p[3]))
    assert told[-1]["caption"] < 0.3 * told[0]["caption"]
    assert told[-1]["latent"] < 0.5 * told[0]["latent"]
    assert np.mean(result.losses[-10:]) < 0.4 * result.losses[0]


def test_phase2_starts_from_phase1(tmp_path):
    first = phase1.run(phase1.Phase1Config(toy.FUSION, toy.loop(), LATENTS), toy.data(), tmp_path / "1")
    fresh = phase2.run(arm_config("dino_only"), toy.data(), tmp_path / "fresh")
    started = phase2.run(arm_config("dino_only"), toy.data(), tmp_path / "started", start=first.checkpoint)
    assert started.losses[0] != fresh.losses[0]
    wider = dataclasses.replace(toy.FUSION, layers=3)
    with pytest.raises(CheckpointError, match="layers: 2 there, 3 here"):
        phase2.run(
            phase2.Phase2Config(wider, objective=LATENTS), toy.data(), tmp_path / "wider", start=first.checkpoint
        )


def test_frames_of_a_conditioning():
    latents = np.random.default_rng(0).standard_normal((5, toy.CHANNELS, toy.FRAMES, 4, 4)).astype(np.float32)
    vae = toy.Vae()
    frames = decode(vae, latents, batch=2)
    assert frames.shape == (5, 3, 8, 8, 3)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, decode(vae, latents, batch=5))


def test_features_of_other_sizes_are_refused(tmp_path):
    other = dataclasses.replace(toy.FUSION, spatial_dim=13)
    with pytest.raises(FusionError, match="spatial_dim=13 but the data has 12"):
        phase1.run(phase1.Phase1Config(other, toy.loop(), LATENTS), toy.data(), tmp_path)
    other = dataclasses.replace(toy.FUSION, spatial_grid=(5, 4))
    with pytest.raises(FusionError, match="16 tokens a frame"):
        phase1.run(phase1.Phase1Config(other, toy.loop(), LATENTS), toy.data(), tmp_path)
    without = dataclasses.replace(toy.data(), semantic=None)
    with pytest.raises(DataError, match="extract the encoder's features first"):
        phase2.run(arm_config("hybrid"), without, tmp_path)


def test_every_recipe_configuration_survives_json():
    for config in (phase1.Phase1Config(toy.FUSION), arm_config("vlm_only"), phase3.Phase3Config(toy.FUSION)):
        assert from_json(type(config), to_json(config)) == config
        assert json.loads(to_json(config))


def test_captions_are_pooled_over_valid_tokens_only():
    embeddings = np.arange(6, dtype=np.float32).reshape(1, 6, 1)
    assert pool(embeddings, np.array([[1, 1, 1, 1, 0, 0]]), 2).ravel().tolist() == [0.5, 2.5]
    assert pool(embeddings, np.array([[1, 1, 0, 0, 0, 0]]), 4).ravel().tolist() == [0, 0, 1, 1]
    with pytest.raises(DataError, match="no token"):
        pool(embeddings, np.zeros((1, 6)), 2)
