"""What turns queries into what the decoder takes: latents of a cell, caption tokens."""

from torch import nn

from models.fusion.config import FusionConfig


def latent_head(config: FusionConfig) -> nn.Sequential:
    """dim -> latent_channels.

    No norm before it: how bright and how detailed a cell is lies in the length of what was read (ADR 7).
    """
    return nn.Sequential(nn.Linear(config.dim, config.dim), nn.GELU(), nn.Linear(config.dim, config.latent_channels))


def semantic_head(config: FusionConfig) -> nn.Sequential:
    """dim -> caption_channels, through the rank that keeps it small."""
    return nn.Sequential(
        nn.LayerNorm(config.dim),
        nn.Linear(config.dim, config.semantic_rank),
        nn.GELU(),
        nn.Linear(config.semantic_rank, config.caption_channels),
    )
