"""Perceiver-style fusion (§C.3; Jaegle et al. 2021): queries read the spatial stream, then the VLM, again and again.

Unlike in the qformer the streams do not compete: each has a softmax, and weights, of its own. The first reading of the
spatial stream starts as a copy of the query's own place; all other readings begin at zero (ADR 7).
"""

import torch
from torch import Tensor, nn

from models.fusion.base import Fusion
from models.fusion.blocks import AHEAD, CrossAttentionBlock
from models.fusion.context import Context


class PerceiverFusion(Fusion):
    """One cross-attention a stream and layer. Blocks alternate: spatial, semantic, spatial, ..."""

    def layers(self, mlp_width: int) -> nn.ModuleList:
        config = self.config
        return nn.ModuleList(
            CrossAttentionBlock(
                config.dim,
                config.heads,
                mlp_width,
                first=reading == 0,
                ahead=AHEAD[reading // 2 % len(AHEAD)],
                streams=1,
            )
            for reading in range(2 * config.layers)
        )

    def fuse(self, queries: Tensor, context: Context, frames: int, attention: bool) -> tuple[Tensor, list[Tensor]]:
        parts = (self.places(context), context.content, context.mask)
        streams = list(zip(*(part.split(context.lengths, dim=1) for part in parts), strict=True))
        kept: list[Tensor] = []
        for layer in range(0, len(self.blocks), 2):
            seen: list[Tensor] = []
            for block, (places, content, mask) in zip(self.blocks[layer : layer + 2], streams, strict=True):
                assert isinstance(block, CrossAttentionBlock)
                read, weights = block.read(
                    queries, self.looks(frames, block.ahead), places, content, (content.shape[1],), mask, attention
                )
                queries = block.think(queries + read)
                seen += [] if weights is None else [weights * read.float().norm(dim=-1, keepdim=True)]
            # Two softmaxes cannot say which stream was listened to; how far each reading moved the query does.
            kept += [_shares(torch.cat(seen, dim=-1))] if seen else []
        return queries, kept


def _shares(weights: Tensor) -> Tensor:
    return weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
