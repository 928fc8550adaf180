"""Layers in which every query thinks for itself: a plain MLP, and one over what FiLM has modulated.

Their branches begin at zero, so that what was read passes through them whole (ADR 7).
"""

from torch import Tensor, nn


class MLPBlock(nn.Module):
    """A pre-norm MLP beside a skip."""

    def __init__(self, dim: int, mlp_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mlp = mlp_from_zero(dim, mlp_width)

    def forward(self, queries: Tensor) -> Tensor:
        """Queries [B, Q, dim] -> the same shape."""
        return queries + self.mlp(self.norm(queries))


class ModulatedBlock(nn.Module):
    """An MLP over what FiLM has scaled and shifted (§C.2; Perez et al. 2018); one scale and shift for each frame."""

    def __init__(self, dim: int, mlp_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.film = nn.Linear(dim, 2 * dim)
        self.mlp = mlp_from_zero(dim, mlp_width)

    def forward(self, queries: Tensor, said: Tensor, rows: Tensor) -> Tensor:
        """Queries [B, Q, dim]; query q is modulated by row `rows[q]` of `said` [B, R, dim]."""
        scale, shift = self.film(said).index_select(1, rows).chunk(2, dim=-1)
        return queries + self.mlp((1 + scale) * self.norm(queries) + shift)


def mlp_from_zero(dim: int, width: int) -> nn.Sequential:
    """dim -> width -> dim, whose answer is 0 at the start."""
    first, last = nn.Linear(dim, width), nn.Linear(width, dim)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(first, nn.GELU(), last)
