"""What the layers of a fusion read: both streams in one width, as one sequence or each by itself."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.encoders.base import Tokens


@dataclass(frozen=True)
class Context:
    """K tokens of the common width, the spatial ones first. What they say and where they stand are kept apart."""

    content: Tensor
    """[B, K, dim]"""
    codes: Tensor
    """[B, K, dim], the code of each token's place; 0 for a null, which stands nowhere."""
    mask: Tensor
    """[B, K], True where readable."""
    lengths: tuple[int, int]
    """How many of the K are spatial and semantic."""
    positions: tuple[Tensor, Tensor]
    """[B, T, N, 2] of each stream."""

    @property
    def spatial(self) -> Tokens:
        """The spatial content [B, T, N, dim]."""
        return self._stream(0)

    @property
    def semantic(self) -> Tokens:
        """The VLM's content [B, T, N, dim]."""
        return self._stream(1)

    def _stream(self, index: int) -> Tokens:
        positions = self.positions[index]
        shape = positions.shape[1:3]
        content = self.content.split(self.lengths, dim=1)[index].unflatten(1, shape)
        return Tokens(content, positions, self.mask.split(self.lengths, dim=1)[index].unflatten(1, shape))


def context_of(spatial: tuple[Tokens, Tensor], semantic: tuple[Tokens, Tensor]) -> Context:
    """Both streams, each as content and codes of places, in one sequence."""
    (where, where_codes), (what, what_codes) = spatial, semantic
    content = where.tokens.flatten(1, 2), what.tokens.flatten(1, 2)
    return Context(
        content=torch.cat(content, dim=1),
        codes=torch.cat([where_codes.flatten(1, 2), what_codes.flatten(1, 2)], dim=1),
        mask=torch.cat([where.mask.flatten(1), what.mask.flatten(1)], dim=1),
        lengths=(content[0].shape[1], content[1].shape[1]),
        positions=(where.positions, what.positions),
    )
