"""Where and when a token is, as a fixed sine code over (x, y, time), each in 0..1 of the clip (design §4.4).

x, y and time have channels of their own, so that a place is never mistaken for a moment.
"""

import math

import torch
from torch import Tensor

_FINEST_PLACE, _FINEST_TIME = 32.0, 16.0


def place_code(positions: Tensor, times: Tensor, dim: int) -> Tensor:
    """Code of tokens at `positions` [..., T, N, 2] (x, y) in frames at `times` [T]: [..., T, N, dim]."""
    side, rest = dim * 3 // 8, dim // 4
    time = _sine(times, rest, _FINEST_TIME)[:, None, :].expand(*positions.shape[:-1], rest)
    x, y = positions.unbind(-1)
    return torch.cat([_sine(x, side, _FINEST_PLACE), _sine(y, side, _FINEST_PLACE), time], dim=-1)


def frame_times(frames: int, device: torch.device | None = None) -> Tensor:
    """[T]: 0 for the first frame of a clip, 1 for the last. Streams of unequal length meet at equal times."""
    return torch.arange(frames, device=device, dtype=torch.float32) / max(frames - 1, 1)


def _sine(values: Tensor, dim: int, finest: float) -> Tensor:
    """Sines and cosines of dim/2 half-wave counts, from 1 to `finest` across 0..1."""
    waves = torch.linspace(0, math.log(finest), dim // 2, device=values.device).exp() * math.pi
    angles = values.float()[..., None] * waves
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
