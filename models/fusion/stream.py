"""One stream's way into the width that both share, and what stands there when the stream is absent."""

import torch
from torch import Tensor, nn

from models.encoders.base import Tokens, grid_positions
from models.fusion.config import FusionError
from models.fusion.position import frame_times, place_code

LEAST_VARIANCE = 1e-3
"""Of a component after the norm, whose mean variance is 1: what varies less is not blown up to unit variance."""


class Stream(nn.Module):
    """Norm, projection and stream embedding, and apart from them the place; or the stream's learned null.

    A null stands nowhere, so that no query finds it at its own place. A clip without a single valid token is a clip
    without the stream: where an encoder failed, the fusion sees what it learned to do without it, and not an attention
    over nothing.
    """

    def __init__(self, width: int, dim: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.dim, self.grid = dim, grid
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, dim)
        self.embedding = nn.Parameter(torch.randn(dim) * 0.02)
        self.null = nn.Parameter(torch.randn(dim) * 0.02)

    @torch.no_grad()
    def whiten(self, tokens: Tensor) -> None:
        """Start the projection at the principal components of tokens [..., width], each scaled to unit variance.

        An encoder's tokens vary far more in a few directions (the ground's colour) than in those that hold detail;
        gradient descent would find the latter last. Components beyond `width` stay zero.
        """
        rows = self.norm(tokens.flatten(0, -2))
        spread = rows - rows.mean(0)
        directions, variances, _ = torch.linalg.svd(spread.T @ spread / len(rows))
        kept = min(self.dim, len(variances))
        scaled = (directions / (variances + LEAST_VARIANCE).sqrt()).T[:kept]
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        self.projection.weight[:kept] = scaled
        self.projection.bias[:kept] = -scaled @ rows.mean(0)

    def forward(self, tokens: Tokens | None, keep: Tensor | None, absent: tuple[int, int]) -> tuple[Tokens, Tensor]:
        """The stream's content [B, T, N, dim], and the code of each token's place [B, T, N, dim], 0 for the null.

        Clips where `keep` [B] is False get the null; `absent` is the (B, T) of the null where there are no tokens.
        """
        if tokens is None:
            return self._absent(*absent)
        self._check(tokens)
        # Not read, but a NaN in the dark would still reach the output as 0 * NaN.
        seen = tokens.tokens.masked_fill(~tokens.mask[..., None], 0)
        content, there = self.projection(self.norm(seen)), tokens.mask.flatten(1).any(1)
        # Where no clip can be dropped the null stays out of the graph: arms that never use it never step it.
        null = self.null.detach() if keep is None else self.null
        kept = (there if keep is None else there & keep)[:, None, None]
        content = torch.where(kept[..., None], content, null.to(content.dtype)) + self.embedding
        code = place_code(tokens.positions, frame_times(tokens.tokens.shape[1], content.device), self.dim)
        return Tokens(content, tokens.positions, tokens.mask | ~kept), code * kept[..., None]

    def _absent(self, batch: int, frames: int) -> tuple[Tokens, Tensor]:
        cells = grid_positions(*self.grid).to(self.null.device).expand(batch, frames, -1, -1)
        content = (self.null + self.embedding).expand(*cells.shape[:3], -1)
        mask = torch.ones_like(content[..., 0], dtype=torch.bool)
        return Tokens(content, cells, mask), torch.zeros_like(content)

    def _check(self, tokens: Tokens) -> None:
        shape, width = tokens.tokens.shape, self.norm.normalized_shape[0]
        if shape[-1] != width:
            raise FusionError(f"fusion: tokens are {shape[-1]} wide, not {width}; are they another encoder's?")
        if tokens.positions.shape != (*shape[:3], 2) or tokens.mask.shape != shape[:3]:
            raise FusionError(
                f"fusion: tokens {tuple(shape)} need positions {(*shape[:3], 2)} and a mask {tuple(shape[:3])}, not "
                f"{tuple(tokens.positions.shape)} and {tuple(tokens.mask.shape)}"
            )
        if not tokens.tokens.numel():
            raise FusionError(f"fusion: tokens {tuple(shape)} are none; for an absent stream give None")
