"""A fusion of a few thousand parameters, and streams of random tokens for it."""

from dataclasses import replace

import torch

from models.encoders.base import Tokens, on_grid
from models.fusion.base import Fusion
from models.fusion.config import FusionConfig

SMALL = FusionConfig(
    spatial_dim=12,
    semantic_dim=10,
    latent_channels=6,
    caption_channels=14,
    latent_frames=3,
    latent_grid=(4, 4),
    spatial_grid=(4, 4),
    semantic_grid=(2, 2),
    semantic_frames=2,
    dim=32,
    heads=4,
    layers=2,
    semantic_queries=3,
    semantic_rank=16,
)

VARIANTS = {
    "qformer": SMALL,
    "concat": replace(SMALL, kind="concat"),
    "film": replace(SMALL, kind="film"),
    "perceiver": replace(SMALL, kind="perceiver"),
    "qformer spatial": replace(SMALL, query_mode="spatial"),
    "qformer hybrid": replace(SMALL, query_mode="hybrid"),
    "qformer global": replace(SMALL, global_queries=True),
    "perceiver hybrid global": replace(SMALL, kind="perceiver", query_mode="hybrid", global_queries=True),
}
"""Every kind, and the query modes of those that have them."""


def moved(fusion: Fusion) -> Fusion:
    """The fusion with all weights but the gates a little off their start, at which most branches are 0 (ADR 7)."""
    with torch.no_grad():
        for name, parameter in fusion.named_parameters():
            if not name.endswith("gate"):
                parameter += 0.1 * torch.randn_like(parameter)
    return fusion


def streams(batch: int = 2, frames: int = 3) -> tuple[Tokens, Tokens]:
    return on_grid(torch.randn(batch, frames, 16, 12), 4, 4), on_grid(torch.randn(batch, 2, 4, 10), 2, 2)


def permuted(tokens: Tokens, *, positions: bool = True) -> Tokens:
    """The tokens of every frame in another order, with their positions or leaving them behind."""
    order = torch.randperm(tokens.tokens.shape[2])
    places = tokens.positions[:, :, order] if positions else tokens.positions
    return Tokens(tokens.tokens[:, :, order], places, tokens.mask[:, :, order])


def masked(tokens: Tokens, mask: torch.Tensor, *, noise: float = 0.0) -> Tokens:
    """The tokens with another mask [B, T, N]; those it hides become noise, at random places."""
    hidden, places = ~mask[..., None], torch.rand_like(tokens.positions)
    values = torch.where(hidden & (noise > 0), noise * torch.randn_like(tokens.tokens), tokens.tokens)
    return Tokens(values, torch.where(hidden & (noise > 0), places, tokens.positions), mask)
