"""The stream share finds the stream that holds the answer, in its region and its layer, in every kind of fusion."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.evaluation.attribution import attribute, changes, semantic_share
from models.fusion.base import Fusion
from models.fusion.build import build
from models.fusion.config import FusionError
from tests.models.evaluation.planted import LEFT, trained
from tests.models.fusion.toy import SMALL, VARIANTS, moved, streams

PLANTED = [
    *[(kind, half) for kind in ("qformer", "perceiver") for half in ("left", "right")],
    ("film", "right"),
    ("concat", "left"),
]


def halves(shares: np.ndarray, semantic_half: str) -> tuple[float, float]:
    """The mean share [B, T', cells] where the spatial stream holds the answer, and where the VLM does."""
    semantic = (LEFT if semantic_half == "left" else ~LEFT).numpy()
    by_cell = shares.mean((0, 1))
    return float(by_cell[~semantic].mean()), float(by_cell[semantic].mean())


@pytest.mark.parametrize(("kind", "semantic_half"), PLANTED)
def test_the_share_finds_the_stream_that_holds_the_answer_where_it_is_asked_for(kind, semantic_half):
    found = attribute(*trained(kind, semantic_half))
    spatial, semantic = halves(semantic_share(found.whole.cells), semantic_half)
    print({kind: {"share": (spatial, semantic)}})
    assert spatial < 0.2
    assert semantic > 0.8


@pytest.mark.parametrize("kind", ["qformer", "perceiver"])
def test_attention_and_norms_are_weaker_evidence(kind):
    """Why the share is by ablation (ADR 13): neither tells the halves apart as well, a perceiver's not at all."""
    fusion, *clips = trained(kind, "right")
    found = attribute(fusion, *clips)
    share = halves(semantic_share(found.whole.cells), "right")
    attention = halves(found.attention_share, "right")
    norms = halves(semantic_share(norms_of(fusion, *clips)), "right")
    print({kind: {"share": share, "attention": attention, "norms": norms}})
    for low, high in (attention, norms):
        assert high - low < share[1] - share[0]


def test_the_layer_that_listens_is_found():
    """With the VLM's gate closed in the second layer, the first must be the one that listens."""
    shares = {deaf: attribute(*trained("qformer", "right", deaf)).layers for deaf in (None, 1)}
    first, second = (halves(semantic_share(layer), "right")[1] for layer in shares[1].cells)
    assert first > 0.8
    assert second < 0.1
    assert halves(semantic_share(shares[None].cells[1]), "right")[1] > 0.5


def test_taking_a_stream_away_from_every_layer_is_taking_it_away():
    torch.manual_seed(0)
    fusion, (spatial, semantic) = small(layers=1), streams()
    found = attribute(fusion, spatial, semantic)
    np.testing.assert_allclose(found.layers.cells[0], found.whole.cells, atol=1e-5)
    np.testing.assert_allclose(found.layers.captions[0], found.whole.captions, atol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_changes_are_those_of_the_fusion_without_a_stream(name):
    torch.manual_seed(0)
    fusion, (spatial, semantic) = moved(build(VARIANTS[name])).eval(), streams()
    found = attribute(fusion, spatial, semantic)
    with torch.no_grad():
        whole, absent = fusion(spatial, semantic), fusion(spatial, None)
    expected = (whole.latent_tokens - absent.latent_tokens).square().mean(-1).sqrt()
    np.testing.assert_allclose(found.whole.cells[..., 1], expected, atol=1e-6)
    assert found.whole.captions.shape == (2, 3, 2)
    assert (found.layers is None) == (name in ("concat", "film")) == (found.attention is None)


def test_attributing_leaves_the_fusion_as_it_was():
    torch.manual_seed(0)
    fusion, clips = small().train(), streams()
    state = torch.random.get_rng_state()
    attribute(fusion, *clips)
    assert fusion.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module._forward_pre_hooks for module in fusion.modules())
    assert not any(parameter.requires_grad and parameter.grad is not None for parameter in fusion.parameters())


def test_tokens_that_the_nulls_cannot_replace_one_by_one_are_refused():
    spatial, semantic = streams(frames=2)
    with pytest.raises(FusionError, match=r"spatial tokens of \(2, 16\) steps and tokens a step"):
        attribute(small(), spatial, semantic)


def test_shares_of_a_clip_weigh_its_cells_by_what_they_lose():
    cells = np.zeros((1, 1, 2, 2))
    cells[0, 0] = [[3.0, 0.0], [0.0, 1.0]]
    found = changes((np.zeros((1, 1, 2, 4)), np.zeros((1, 1, 4))), ((np.zeros((1, 1, 2, 4)), np.zeros((1, 1, 4))),) * 2)
    assert np.isnan(semantic_share(found.cells)).all()
    assert semantic_share(cells.sum((1, 2)))[0] == 0.25


def small(**choices) -> Fusion:
    return moved(build(replace(SMALL, **choices))).eval()


@torch.no_grad()
def norms_of(fusion: Fusion, spatial, semantic) -> np.ndarray:
    """[B, T', cells, 2]: the norm of what each stream adds to the queries, over all layers (Kobayashi et al. 2020)."""
    inputs, norms = {}, []
    hooks = [
        block.get_submodule(name).register_forward_hook(lambda m, given, out: inputs.update({m: out}))
        for block in fusion.blocks
        for name in ("query", "key", "value")
    ]
    made = fusion(spatial, semantic)
    for hook in hooks:
        hook.remove()
    for number, block in enumerate(fusion.blocks):
        query, key, value = (block._split(inputs[block.get_submodule(name)]) for name in ("query", "key", "value"))
        weights = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
        joint = len(block.gate) == 2
        lengths = (made.spatial_tokens, key.shape[2] - made.spatial_tokens) if joint else (key.shape[2],)
        gates = block.gate.sigmoid()
        parts = zip(weights.split(lengths, -1), value.split(lengths, -2), gates, strict=True)
        read = [((w @ v * gate).transpose(1, 2).flatten(2) @ block.out.weight.T).norm(dim=-1) for w, v, gate in parts]
        norms.append(
            torch.stack(read, -1)
            if joint
            else torch.nn.functional.one_hot(torch.tensor(number % 2), 2) * read[0][..., None]
        )
    return fusion.of_cells(torch.stack(norms).sum(0), made.latent_tokens.shape[1]).numpy()
