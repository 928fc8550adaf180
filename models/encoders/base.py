"""The contract of every frozen encoder: frames in, tokens with their places out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.frozen import Frozen


@dataclass(frozen=True)
class Tokens:
    """What an encoder saw, and where.

    Attributes:
        tokens: float [B, T, N, D]; T counts the encoder's time steps, N its tokens a step.
        positions: float [B, T, N, 2], (x, y) of each token's centre in 0..1 of the original frame.
        mask: bool [B, T, N], True where the token is valid.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor


class Encoder(Frozen):
    """A frozen encoder of clips."""

    dim: int

    def forward(self, frames: Tensor) -> Tokens:
        """Encode uint8 [B, T, H, W, 3]."""
        raise TypeError(f"{type(self).__name__} does not encode: it is the contract only")


def grid_positions(rows: int, columns: int) -> Tensor:
    """Centres (x, y) in 0..1 of a raster of rows x columns cells: float [rows * columns, 2]."""
    y = (torch.arange(rows) + 0.5) / rows
    x = (torch.arange(columns) + 0.5) / columns
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flip(-1).reshape(-1, 2)


def on_grid(tokens: Tensor, rows: int, columns: int) -> Tokens:
    """Tokens [B, T, rows * columns, D] in raster order, all valid, with their grid positions."""
    batch, time, count, _ = tokens.shape
    positions = grid_positions(rows, columns).to(tokens).expand(batch, time, -1, -1)
    return Tokens(tokens, positions, torch.ones(batch, time, count, dtype=torch.bool, device=tokens.device))


def require_multiple(name: str, height: int, width: int, cell: int) -> None:
    """Refuse frames that the encoder would crop or pad, which would shift every position.

    Raises:
        ValueError: height or width is no positive multiple of `cell` pixels.
    """
    if height < cell or width < cell or height % cell or width % cell:
        raise ValueError(f"{name}: frames of {height}x{width} do not tile into {cell}x{cell} cells; resize at ingest")
