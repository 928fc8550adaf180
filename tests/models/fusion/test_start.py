"""How the fusion starts (ADR 7): at its own place, from whitened tokens, with a copy of what stands there."""

import pytest
import torch

from models.encoders.base import on_grid
from models.fusion.config import FusionConfig
from models.fusion.qformer import QFormerFusion, Stream

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


def test_the_first_layer_looks_at_its_own_place():
    seen = QFormerFusion(LAPTOP).eval()(
        on_grid(torch.randn(2, 5, 64, 24), 8, 8), on_grid(torch.randn(2, 4, 16, 20), 4, 4), return_attention=True
    )
    at_home = seen.attention[0][:, :SPATIAL, :SPATIAL].diagonal(dim1=1, dim2=2)
    assert at_home.mean() > 0.9


def test_every_layer_but_the_first_begins_by_doing_nothing():
    fusion = QFormerFusion(LAPTOP).eval()
    tokens = on_grid(torch.randn(2, 5, 64, 24), 8, 8), on_grid(torch.randn(2, 4, 16, 20), 4, 4)
    whole = fusion(*tokens).hidden
    fusion.blocks = fusion.blocks[:1]
    torch.testing.assert_close(fusion(*tokens).hidden, whole)


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
