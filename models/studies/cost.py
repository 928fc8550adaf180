"""What quality is paid with: parameters that are trained, FLOPs of a clip, tokens that are read."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.fusion.base import Fusion
from models.training.data import TrainingData, read_batch


@dataclass(frozen=True)
class Cost:
    """Of one clip through a fusion."""

    parameters: int
    """Trainable."""
    flops: int
    """Of the forward pass; see `flops`."""
    tokens: int
    """Of both streams, the learned null's in the place of an absent one."""


@torch.no_grad()
def flops(call: Callable[[], object]) -> int:
    """FLOPs of a call: matrix products, convolutions and attentions by torch's formulas; nothing element-wise."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def cost(fusion: Fusion, data: TrainingData, arm: str) -> Cost:
    """The cost of a fusion in evaluation mode, on the first clip to train on."""
    batch, config = read_batch(data, data.ids[:1], arm=arm).to(fusion.device), fusion.config
    spatial = config.latent_frames * config.spatial_grid[0] * config.spatial_grid[1]
    semantic = config.semantic_frames * config.semantic_grid[0] * config.semantic_grid[1]
    return Cost(
        parameters=sum(parameter.numel() for parameter in fusion.parameters()),
        flops=flops(lambda: fusion(batch.spatial, batch.semantic)),
        tokens=spatial + semantic,
    )
