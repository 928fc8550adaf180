"""The layer of the fusions that attend: pre-norm cross-attention to the streams, a gate each, an MLP (§1.3, §4.1)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.fusion.mlp import mlp_from_zero

SHARPNESS = 30.0
"""Score, at the start, of a token that stands where the query does; a test holds what it gets of the attention."""

OPEN = 2.0
"""Logit of a stream's gate at the start, the same for both: a common factor of what is read, so no stream leads."""


class CrossAttentionBlock(nn.Module):
    """Queries read the context of the streams, then think for themselves.

    The gate of a stream scales its values; the softmax runs over all streams given, so attention still says which was
    read.

    At the start equal orthogonal query and key maps make a query look at its own place, and the first layer of a module
    brings what stands there whole: orthogonal value and output maps. Every other branch begins at zero (ADR 7).
    """

    def __init__(self, dim: int, heads: int, mlp_width: int, *, first: bool, streams: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.gate = nn.Parameter(torch.full((streams,), OPEN))
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = mlp_from_zero(dim, mlp_width)
        nn.init.orthogonal_(self.query.weight, gain=(SHARPNESS / (dim // heads) ** 0.5) ** 0.5)
        with torch.no_grad():
            self.key.weight.copy_(self.query.weight)
        nn.init.orthogonal_(self.value.weight)
        (nn.init.orthogonal_ if first else nn.init.zeros_)(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        queries: Tensor,
        places: Tensor,
        content: Tensor,
        lengths: tuple[int, ...],
        mask: Tensor | None,
        attention: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """`read`, then `think`: the new queries and, if asked for, the attention."""
        read, weights = self.read(queries, places, content, lengths, mask, attention)
        return self.think(queries + read), weights

    def read(
        self,
        queries: Tensor,
        places: Tensor,
        content: Tensor,
        lengths: tuple[int, ...],
        mask: Tensor | None,
        attention: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Queries [B, Q, dim]; `places`, what is looked for, and `content`, what is read, each [B, K, dim], of
        `lengths` tokens a stream; mask [B, K], True where readable.

        Returns what is to be added to the queries and, if asked for, the attention [B, Q, K], mean of the heads.
        """
        query = self._split(self.query(self.norm(queries)))
        key, value = self.key(places), self.value(content)
        gate = torch.cat([g.expand(n) for g, n in zip(self.gate.sigmoid(), lengths, strict=True)])
        key, value = self._split(key), self._split(value * gate[:, None].to(value.dtype))
        visible = None if mask is None else mask[:, None, None, :]
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        read = self.out(read.transpose(1, 2).flatten(2))
        return read, _weights(query, key, visible) if attention else None

    def think(self, queries: Tensor) -> Tensor:
        """Queries [B, Q, dim] -> the same shape."""
        return queries + self.mlp(self.mlp_norm(queries))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _weights(query: Tensor, key: Tensor, visible: Tensor | None) -> Tensor:
    scores = query.float() @ key.float().transpose(-1, -2) * query.shape[-1] ** -0.5
    if visible is not None:
        scores = scores.masked_fill(~visible, float("-inf"))
    return scores.softmax(-1).mean(1)
