"""§4.1's interference is watched: the cosine is that of the gradients, and watching changes no weight."""

import dataclasses
import json

import pytest
import torch

from models.training import phase2
from models.training.interference import GRADIENT_COSINE, gradient_cosine
from models.training.objective import ObjectiveConfig
from tests.models.fusion.toy import SMALL, moved, streams
from tests.models.training import toy
from tests.models.training.test_loop import Stopped, same_weights, stop_at

LATENTS = ObjectiveConfig(pixel_every=0)


def config(every: int, arm: str = "hybrid", **choices) -> phase2.Phase2Config:
    return phase2.Phase2Config(toy.FUSION, arm, toy.loop(steps=8, **choices), LATENTS, interference_every=every)


def rows(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.fixture
def fusion():
    from models.fusion.build import build

    torch.manual_seed(0)
    return moved(build(SMALL)).eval()


@pytest.mark.parametrize(("factor", "cosine"), [(1.0, 1.0), (3.0, 1.0), (-0.5, -1.0)])
def test_a_loss_pulls_with_itself_and_against_its_opposite(fusion, factor, cosine):
    loss = fusion(*streams()).latent_tokens.square().mean()
    assert gradient_cosine(fusion, loss, factor * loss)[GRADIENT_COSINE] == pytest.approx(cosine)


def test_it_is_the_cosine_of_the_gradients_that_both_losses_leave(fusion):
    spatial, semantic = streams()

    def losses():
        out = fusion(spatial, semantic)
        return out.latent_tokens.square().mean(), out.semantic_tokens.square().mean()

    own = ("queries", "semantic_queries", "latent_head", "semantic_head")
    gradients = []
    for number in range(2):
        fusion.zero_grad()
        losses()[number].backward()
        shared = [p.grad for name, p in fusion.named_parameters() if not name.startswith(own) and p.grad is not None]
        gradients.append(torch.cat([gradient.flatten() for gradient in shared]))
    fusion.zero_grad()
    expected = torch.nn.functional.cosine_similarity(*gradients, dim=0).item()
    assert gradient_cosine(fusion, *losses())[GRADIENT_COSINE] == pytest.approx(expected, rel=1e-4)
    assert 0 < abs(expected) < 1
    assert all(parameter.grad is None for parameter in fusion.parameters())


def test_losses_that_share_nothing_have_no_cosine(fusion):
    loss = fusion(*streams()).latent_tokens.square().mean()
    assert gradient_cosine(fusion, loss, fusion.semantic_queries.square().sum()) == {}


def test_a_gradient_that_overflowed_has_no_cosine(fusion):
    out = fusion(*streams())
    assert gradient_cosine(fusion, out.latent_tokens.sum() * float("inf"), out.semantic_tokens.sum()) == {}


@pytest.mark.parametrize("arm", ["hybrid", "dino_only"])
def test_every_few_steps_have_a_cosine_and_the_gates_of_both_streams(tmp_path, arm):
    phase2.run(config(3, arm), toy.data(), tmp_path)
    found = rows(tmp_path)
    assert [GRADIENT_COSINE in row for row in found] == [False, False, True, False, False, True, False, False]
    assert all(-1 <= row[GRADIENT_COSINE] <= 1 for row in found if GRADIENT_COSINE in row)
    gates = {f"gate/{stream}/{layer}" for stream in ("spatial", "semantic") for layer in range(2)}
    assert gates <= found[2].keys()


def test_watching_changes_no_bit_of_the_training(tmp_path):
    watched, not_watched = (
        phase2.run(config(every, ema=0.9), toy.data(), tmp_path / str(every)) for every in (1, 0)
    )  # fmt: skip
    assert watched.losses == not_watched.losses
    assert same_weights(watched.checkpoint, not_watched.checkpoint)


def test_a_stopped_run_watches_on_as_if_never_stopped(tmp_path):
    phase2.run(config(2), toy.data(), tmp_path / "whole")
    with pytest.raises(Stopped):
        phase2.run(config(2), toy.data(), tmp_path / "stopped", stop_at(5))
    phase2.run(config(2), toy.data(), tmp_path / "stopped")
    whole, stopped = ([row.get(GRADIENT_COSINE) for row in rows(tmp_path / name)] for name in ("whole", "stopped"))
    assert whole == stopped


def test_pixels_have_no_part_in_it(tmp_path):
    pixels = dataclasses.replace(config(2), objective=ObjectiveConfig(pixel_every=2))
    phase2.run(pixels, toy.data(), tmp_path / "pixels", vae=toy.Vae(), perceptual=toy.distance)
    assert all(GRADIENT_COSINE in row for row in rows(tmp_path / "pixels")[1::2])
