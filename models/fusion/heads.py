"""What turns queries into what the decoder takes: latents of a cell, caption tokens."""

from torch import Tensor, nn

from models.fusion.config import FusionConfig


class LatentHead(nn.Module):
    """dim -> latent_channels: a linear map, and beside it a small MLP that says nothing at the start.

    No norm before it: how bright and how detailed a cell is lies in the length of what was read (ADR 7).
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.dim, config.latent_channels)
        width = config.dim - config.latent_channels  # narrower by about what the linear map costs
        last = nn.Linear(width, config.latent_channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mlp = nn.Sequential(nn.Linear(config.dim, width), nn.GELU(), last)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., latent_channels]"""
        return self.linear(hidden) + self.mlp(hidden)


def semantic_head(config: FusionConfig) -> nn.Sequential:
    """dim -> caption_channels, through the rank that keeps it small."""
    return nn.Sequential(
        nn.LayerNorm(config.dim),
        nn.Linear(config.dim, config.semantic_rank),
        nn.GELU(),
        nn.Linear(config.semantic_rank, config.caption_channels),
    )
