"""Tokens as means over what lies near a place, near a moment, or in a frame. Only valid tokens count.

Weights follow from positions, never from the tokens' order, and nothing here is learned. Where no token is valid the
mean is 0.
"""

import torch
from torch import Tensor

from models.encoders.base import Tokens, grid_positions
from models.fusion.position import frame_times

_PLACE_WIDTH, _TIME_WIDTH = 0.25, 0.5
"""Standard deviations, in cells and in latent frames.

A cell reads the tokens inside it, and the nearest where it holds none; tests/models/fusion/test_resample.py holds it.
Moments blend more: a latent frame stands for several frames of the clip.
"""


def at_cells(tokens: Tokens, grid: tuple[int, int]) -> Tensor:
    """Tokens [B, T, N, D] on a raster of cells a frame: [B, T, rows * columns, D]."""
    rows, columns = grid
    cells = grid_positions(rows, columns).to(tokens.positions)
    sides = tokens.positions.new_tensor([columns, rows])
    apart = (cells[:, None] - tokens.positions[..., None, :, :]) * sides / _PLACE_WIDTH
    return _mean(tokens.tokens, apart.square().sum(-1) / 2, tokens.mask)


def at_frames(tokens: Tokens, frames: int) -> Tensor:
    """Tokens [B, T, N, D] at the moments of `frames` latent frames, wherever they are: [B, frames, D]."""
    device = tokens.tokens.device
    times = frame_times(tokens.tokens.shape[1], device).repeat_interleave(tokens.tokens.shape[2])
    apart = (frame_times(frames, device)[:, None] - times) * max(frames - 1, 1) / _TIME_WIDTH
    return _mean(tokens.tokens.flatten(1, 2), apart.square() / 2, tokens.mask.flatten(1))


def of_frames(tokens: Tokens) -> Tensor:
    """The mean token of each frame: [B, T, D]."""
    return _mean(tokens.tokens, tokens.tokens.new_zeros(1, tokens.tokens.shape[2]), tokens.mask)[:, :, 0]


def of_clip(tokens: Tokens) -> Tensor:
    """The mean token of each clip: [B, 1, D]."""
    flat = tokens.tokens.flatten(1, 2)
    return _mean(flat, flat.new_zeros(1, flat.shape[1]), tokens.mask.flatten(1))


def rows_of(frames: int, cells: int, semantic: int, device: torch.device) -> Tensor:
    """[T*cells + S]: the row, among T frames and then the clip, that tells each query; semantic ones ask the clip's."""
    rows = torch.arange(frames, device=device).repeat_interleave(cells)
    return torch.cat([rows, rows.new_full((semantic,), frames)])


def _mean(tokens: Tensor, distance: Tensor, mask: Tensor) -> Tensor:
    """Means of tokens [.., K, D] by distance [.., Q, K] and mask [.., K]: [.., Q, D]."""
    scores = (-distance.float()).expand(*mask.shape[:-1], *distance.shape[-2:])
    weights = scores.masked_fill(~mask[..., None, :], float("-inf")).softmax(-1)
    return torch.nan_to_num(weights).to(tokens.dtype) @ tokens
