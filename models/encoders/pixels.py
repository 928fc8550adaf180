"""Frames as a vision model takes them: normalised, channels first, at the size that they have."""

from collections.abc import Sequence

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(frames: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """uint8 [B, H, W, 3] to float32 [B, 3, H, W], by the mean and standard deviation of colours in 0..1."""
    middle, spread = (torch.tensor(v, device=frames.device).view(1, 3, 1, 1) for v in (mean, std))
    return (frames.permute(0, 3, 1, 2).float() / 255 - middle) / spread
