"""FiLM fusion (§C.2; Perez et al. 2018): the VLM scales and shifts the spatial features, layer by layer.

A query starts as a copy of the spatial content of its cell, so a place needs no attention to be found. The VLM speaks
as one vector a moment: it can say what and when, but not where.
"""

import torch
from torch import Tensor, nn

from models.fusion.base import Fusion
from models.fusion.blocks import OPEN
from models.fusion.config import FusionConfig
from models.fusion.context import Context
from models.fusion.mlp import ModulatedBlock
from models.fusion.resample import at_cells, at_frames, of_clip, rows_of


class FilmFusion(Fusion):
    """Spatial content of each cell, modulated by the VLM's mean token near each frame's moment."""

    def __init__(self, config: FusionConfig, mlp_width: int | None = None) -> None:
        super().__init__(config, mlp_width)
        self.gate = nn.Parameter(torch.full((2,), OPEN))

    def layers(self, mlp_width: int) -> nn.ModuleList:
        return nn.ModuleList(ModulatedBlock(self.config.dim, mlp_width) for _ in range(self.config.layers))

    def fuse(self, queries: Tensor, context: Context, frames: int, attention: bool) -> tuple[Tensor, list[Tensor]]:
        open_spatial, open_semantic = self.gate.sigmoid()
        semantic = self.config.semantic_queries
        cells = at_cells(context.spatial, self.config.latent_grid)
        clip = of_clip(context.spatial).expand(-1, semantic, -1)
        queries = queries + open_spatial * torch.cat([cells.flatten(1, 2), clip], dim=1)
        said = open_semantic * torch.cat([at_frames(context.semantic, frames), of_clip(context.semantic)], dim=1)
        rows = rows_of(frames, cells.shape[2], semantic, queries.device)
        for block in self.blocks:
            queries = block(queries, said, rows)
        return queries, []
