"""Concatenation baseline (§C.1): the streams' means side by side, projected: every cell of a frame is told the same.

The spatial mean is one a latent frame, as §1.3's module sees one frame; the VLM's is one a clip. The projection starts
as a copy of the spatial mean, as near as a kind that "loses spatial structure" comes to ADR 7's own place.
"""

import torch
from torch import Tensor, nn

from models.fusion.base import Fusion
from models.fusion.blocks import OPEN
from models.fusion.config import FusionConfig
from models.fusion.context import Context
from models.fusion.mlp import MLPBlock
from models.fusion.resample import of_clip, of_frames, rows_of


class ConcatFusion(Fusion):
    """Means of both streams, one projection, then MLPs over each query by itself."""

    def __init__(self, config: FusionConfig, mlp_width: int | None = None) -> None:
        super().__init__(config, mlp_width)
        self.combine = nn.Linear(2 * config.dim, config.dim)
        self.gate = nn.Parameter(torch.full((2,), OPEN))
        nn.init.eye_(self.combine.weight)  # the first half of its input, which is the spatial mean
        nn.init.zeros_(self.combine.bias)

    def layers(self, mlp_width: int) -> nn.ModuleList:
        return nn.ModuleList(MLPBlock(self.config.dim, mlp_width) for _ in range(self.config.layers))

    def fuse(self, queries: Tensor, context: Context, frames: int, attention: bool) -> tuple[Tensor, list[Tensor]]:
        open_spatial, open_semantic = self.gate.sigmoid()
        where = open_spatial * torch.cat([of_frames(context.spatial), of_clip(context.spatial)], dim=1)
        what = open_semantic * of_clip(context.semantic).expand(-1, where.shape[1], -1)
        semantic = self.config.semantic_queries
        cells = (queries.shape[1] - semantic) // frames
        told = self.combine(torch.cat([where, what], dim=-1))
        queries = queries + told.index_select(1, rows_of(frames, cells, semantic, queries.device))
        for block in self.blocks:
            queries = block(queries)
        return queries, []
