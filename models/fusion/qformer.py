"""The default fusion: learned queries on the latent's own grid read both frozen streams (§1.3, §C.4).

Every layer reads both streams under one softmax, so a query chooses between them as it chooses between places.
"""

from torch import Tensor, nn

from models.fusion.base import Fusion
from models.fusion.blocks import AHEAD, CrossAttentionBlock
from models.fusion.context import Context


class QFormerFusion(Fusion):
    """Joint cross-attention, layer by layer. The first starts as a copy of what stands at the query's own place."""

    def layers(self, mlp_width: int) -> nn.ModuleList:
        config = self.config
        return nn.ModuleList(
            CrossAttentionBlock(config.dim, config.heads, mlp_width, first=layer == 0, ahead=AHEAD[layer % len(AHEAD)])
            for layer in range(config.layers)
        )

    def fuse(self, queries: Tensor, context: Context, frames: int, attention: bool) -> tuple[Tensor, list[Tensor]]:
        places, kept = self.places(context), list[Tensor]()
        for block in self.blocks:
            assert isinstance(block, CrossAttentionBlock)
            looks = self.looks(frames, block.ahead)
            queries, weights = block(queries, looks, places, context.content, context.lengths, context.mask, attention)
            kept += [] if weights is None else [weights]
        return queries, kept
