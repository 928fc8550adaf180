"""Clips of which one stream holds the answer of each half of the frame, and fusions that learned to give it."""

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from models.encoders.base import Tokens, on_grid
from models.fusion.base import Fusion
from models.fusion.build import build
from models.fusion.config import FusionConfig

CHANNELS, CELLS = 4, 16
CONFIG = FusionConfig(
    spatial_dim=8,
    semantic_dim=8,
    latent_channels=CHANNELS,
    caption_channels=6,
    latent_frames=2,
    latent_grid=(4, 4),
    spatial_grid=(4, 4),
    semantic_grid=(2, 2),
    semantic_frames=2,
    dim=32,
    heads=4,
    layers=2,
    semantic_queries=2,
    semantic_rank=8,
)
LEFT = torch.arange(CELLS) % 4 < 2


@dataclass
class Planted:
    """Two answers a clip, one in every token of either stream under noise; a cell's latent is one of them."""

    semantic_cells: Tensor
    """bool [CELLS], True where the VLM's answer is asked for; its caption is always the VLM's."""
    seed: int = 0

    def __post_init__(self) -> None:
        self.random = torch.Generator().manual_seed(self.seed)
        self.codes = torch.randn(2, CHANNELS, 8, generator=self.random) / 2

    def draw(self, clips: int) -> tuple[Tensor, Tokens, Tokens]:
        """The latents [B, 2, CELLS, CHANNELS] and the two streams."""
        answers = torch.randn(2, clips, CHANNELS, generator=self.random)
        spatial, semantic = (
            on_grid(
                torch.randn(clips, 2, side * side, 8, generator=self.random) / 2
                + (answers[stream] @ self.codes[stream])[:, None, None],
                side,
                side,
            )
            for stream, side in enumerate((4, 2))
        )
        asked = torch.where(self.semantic_cells[:, None], answers[1][:, None], answers[0][:, None])
        return asked[:, None].expand(-1, 2, -1, -1), spatial, semantic


@cache
def trained(kind: str, semantic_half: str, deaf_layer: int | None = None) -> tuple[Fusion, Tokens, Tokens]:
    """A fusion that gives the VLM's answer in one half, the spatial one in the other, and held-out clips for it.

    Layer `deaf_layer` has its gate for the VLM closed, so that it cannot be the one that listens to it.
    """
    planted = Planted(LEFT if semantic_half == "left" else ~LEFT)
    torch.manual_seed(0)
    fusion = build(replace(CONFIG, kind=kind)).train()
    if deaf_layer is not None:
        fusion.get_parameter(f"blocks.{deaf_layer}.gate").data[1] = -30
    optimizer = torch.optim.AdamW(fusion.parameters(), 5e-3, weight_decay=0.0)
    for _ in range(120):
        optimizer.zero_grad()
        latents, spatial, semantic = planted.draw(24)
        (fusion(spatial, semantic).latent_tokens - latents).square().mean().backward()
        optimizer.step()
    _, spatial, semantic = planted.draw(64)
    return fusion.eval(), spatial, semantic
