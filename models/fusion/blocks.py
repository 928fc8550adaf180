"""The layer of the fusions that attend: pre-norm cross-attention to the streams, a gate each, an MLP (§1.3, §4.1)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.fusion.mlp import mlp_from_zero

SHARPNESS = 30.0
"""Score, at the start, of a token that stands where the query does; a test holds what it gets of the attention."""

AHEAD = (0, -1, 1)
"""Latent frames after its own at which the layers in turn look at the start: motion needs those before and after."""

OPEN = 2.0
"""Logit of a stream's gate at the start, the same for both: a common factor of what is read, so no stream leads."""


class CrossAttentionBlock(nn.Module):
    """Queries read the context of the streams, then think for themselves.

    The gate of a stream scales its values; the softmax runs over all streams given, so attention still says which was
    read.

    A query is the code of the place it looks for and a little of what it knows, as a key is the code of the place where
    a token stands and a little of what it is. At the start equal orthogonal query and key maps make it find that place;
    the first layer of a module brings what stands there whole: orthogonal value and output maps. Every other branch
    begins at zero (ADR 7).
    """

    def __init__(self, dim: int, heads: int, mlp_width: int, *, first: bool, ahead: int, streams: int = 2) -> None:
        """`ahead` is how many latent frames after its own the layer looks at the start; before, if negative."""
        super().__init__()
        self.ahead = nn.Parameter(torch.tensor(float(ahead)))
        self.content_in_query = nn.Parameter(torch.tensor(0.1))
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
        looks: Tensor,
        places: Tensor,
        content: Tensor,
        lengths: tuple[int, ...],
        mask: Tensor | None,
        attention: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """`read`, then `think`: the new queries and, if asked for, the attention."""
        read, weights = self.read(queries, looks, places, content, lengths, mask, attention)
        return self.think(queries + read), weights

    def read(
        self,
        queries: Tensor,
        looks: Tensor,
        places: Tensor,
        content: Tensor,
        lengths: tuple[int, ...],
        mask: Tensor | None,
        attention: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Queries [B, Q, dim] and `looks` [Q, dim], the code of the place that each looks for; `places`, where it may
        be found, and `content`, what is read, each [B, K, dim], of `lengths` tokens a stream; mask [B, K], True where
        readable.

        Returns what is to be added to the queries and, if asked for, the attention [B, Q, K], mean of the heads.
        """
        query = self._split(self.query(self.norm(looks + self.content_in_query * queries)))
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
