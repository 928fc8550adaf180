"""What a description depends on beside the networks: the clips, the fusion, and how the phases train."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from models.decoder.routes import Routes
from models.encoders.base import Tokens, grid_positions
from models.fusion.config import FusionConfig
from models.training.data import Batch


@dataclass(frozen=True)
class Plan:
    """One run, as far as memory goes."""

    fusion: FusionConfig
    frames: int
    size: int
    """Height and width of a frame in pixels."""
    batches: tuple[int, int, int]
    """Clips a step of Phases 1, 2 and 3."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Autocast's in training, whose weights are float32; of the decoder in inference."""
    encoders: Mapping[str, str] = field(default_factory=dict)
    """Precision of dinov2's and qwen's parameters; float32 where none is given."""
    lora_rank: int = 16
    gradient_checkpointing: bool = False
    routes: Routes = field(default_factory=Routes)

    def encoder(self, name: str) -> torch.dtype:
        """In what an encoder's parameters are held."""
        return getattr(torch, self.encoders.get(name, "float32"))

    def batch(self, clips: int, pixels: int) -> Batch:
        """Features of so many clips, and the frames of the first `pixels` of them."""
        fusion = self.fusion
        return Batch(
            ids=[""] * clips,
            latents=torch.randn(clips, fusion.latent_channels, fusion.latent_frames, *fusion.latent_grid),
            spatial=_tokens(clips, fusion.latent_frames, fusion.spatial_grid, fusion.spatial_dim),
            semantic=_tokens(clips, fusion.semantic_frames, fusion.semantic_grid, fusion.semantic_dim),
            captions=torch.randn(clips, fusion.semantic_queries, fusion.caption_channels),
            frames=torch.zeros(pixels, self.frames, self.size, self.size, 3, dtype=torch.uint8) if pixels else None,
        )


def _tokens(clips: int, frames: int, grid: tuple[int, int], width: int) -> Tokens:
    positions = grid_positions(*grid).expand(clips, frames, -1, -1)
    count = grid[0] * grid[1]
    return Tokens(torch.randn(clips, frames, count, width), positions, torch.ones(clips, frames, count).bool())
