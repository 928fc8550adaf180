"""How the fusion starts (ADR 7): at its own place, from whitened tokens, with a copy of what stands there."""

import dataclasses

import pytest
import torch

from models.encoders.base import Tokens, on_grid
from models.fusion.build import build
from models.fusion.config import FusionConfig
from models.fusion.qformer import QFormerFusion
from models.fusion.stream import Stream

LAPTOP = FusionConfig(
    spatial_dim=24,
    semantic_dim=20,
    latent_channels=8,
    caption_channels=14,
    latent_frames=5,
    latent_grid=(8, 8),
    spatial_grid=(8, 8),
    semantic_grid=(4, 4),
    semantic_frames=4,
    dim=192,
    heads=4,
    layers=3,
    semantic_queries=4,
    semantic_rank=16,
)
SPATIAL = 5 * 64
"""Queries, and tokens of the spatial stream at the same places and times."""


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def streams() -> tuple[Tokens, Tokens]:
    return on_grid(torch.randn(2, 5, 64, 24), 8, 8), on_grid(torch.randn(2, 4, 16, 20), 4, 4)


@pytest.mark.parametrize("query_mode", ["learned", "spatial", "hybrid"])
@pytest.mark.parametrize("kind", ["qformer", "perceiver"])
def test_the_first_layer_looks_at_its_own_place(kind, query_mode):
    fusion = build(dataclasses.replace(LAPTOP, kind=kind, query_mode=query_mode)).eval()
    seen = fusion(*streams(), return_attention=True)
    at_home = seen.attention[0][:, :SPATIAL, :SPATIAL].diagonal(dim1=1, dim2=2)
    assert at_home.mean() > 0.9


@pytest.mark.parametrize(("kind", "copying"), [("qformer", 1), ("perceiver", 2), ("film", 0), ("concat", 0)])
def test_every_layer_but_the_first_begins_by_doing_nothing(kind, copying):
    fusion, tokens = build(dataclasses.replace(LAPTOP, kind=kind)).eval(), streams()
    whole = fusion(*tokens).hidden
    fusion.blocks = fusion.blocks[:copying]
    torch.testing.assert_close(fusion(*tokens).hidden, whole)


@pytest.mark.parametrize("kind", ["perceiver", "film", "concat"])
def test_where_the_vlm_has_a_branch_of_its_own_it_begins_at_zero(kind):
    fusion, (spatial, semantic) = build(dataclasses.replace(LAPTOP, kind=kind)).eval(), streams()
    assert torch.equal(fusion(spatial, semantic).hidden, fusion(spatial, streams()[1]).hidden)


def test_a_layer_of_the_perceiver_that_reads_nothing_shares_nothing_out():
    seen = build(dataclasses.replace(LAPTOP, kind="perceiver")).eval()(*streams(), return_attention=True)
    assert [layer.sum(-1).mean().round().item() for layer in seen.attention] == [1, 0, 0]


@pytest.mark.parametrize("kind", ["film", "concat"])
def test_film_starts_as_a_copy_of_its_cell_and_concat_of_its_frame(kind):
    fusion, (first, semantic), (second, _) = build(dataclasses.replace(LAPTOP, kind=kind)).eval(), streams(), streams()
    apart = fusion(first, semantic).hidden - fusion(second, semantic).hidden
    given = [fusion.spatial(tokens, None, (2, 5))[0].tokens for tokens in (first, second)]
    read = fusion.gates()[0, 0] * (given[0] - given[1])
    copied = read if kind == "film" else read.mean(2, keepdim=True).expand_as(read)
    torch.testing.assert_close(apart, copied, atol=0.02, rtol=0)


def test_an_absent_stream_draws_no_query_from_its_place():
    spatial = on_grid(torch.randn(2, 5, 64, 24), 8, 8)
    seen = QFormerFusion(LAPTOP).eval()(spatial, None, return_attention=True)
    assert seen.attention[0][:, :SPATIAL, SPATIAL:].sum(-1).mean() < 0.1


def test_whitened_tokens_vary_alike_in_every_direction():
    scales = torch.logspace(0, -1, 24)
    tokens = torch.randn(4000, 24) * scales @ torch.linalg.qr(torch.randn(24, 24))[0]
    stream = Stream(24, 32, (8, 8))
    stream.whiten(tokens)
    projected = stream.projection(stream.norm(tokens))
    torch.testing.assert_close(projected.mean(0), torch.zeros(32), atol=1e-3, rtol=0)
    # LayerNorm takes one of 24 directions away; those that are left have unit variance, those beyond 24 none.
    variances = projected.var(0)
    assert (variances[:20] - 1).abs().max() < 0.05
    assert variances[24:].max() == 0


def test_what_hardly_varies_is_not_blown_up():
    tokens = torch.randn(4000, 24) * torch.tensor([1.0] * 12 + [1e-3] * 12)
    stream = Stream(24, 24, (8, 8))
    stream.whiten(tokens)
    assert stream.projection(stream.norm(tokens)).var(0)[12:].max() < 0.1
