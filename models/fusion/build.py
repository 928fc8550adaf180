"""The one door to the fusions: the kind that a configuration names, at the qformer's number of parameters (§C).

Kinds are compared at equal width, depth, tokens and output heads; only the width inside their MLPs differs. It is a
multiple of 8, as tensor cores want it, so counts agree to half such a step; tests/models/fusion/test_budget.py holds
how near that is.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch

from models.fusion.base import Fusion
from models.fusion.concat import ConcatFusion
from models.fusion.config import FusionConfig, FusionError
from models.fusion.film import FilmFusion
from models.fusion.perceiver import PerceiverFusion
from models.fusion.qformer import QFormerFusion

KINDS: Mapping[str, type[Fusion]] = {
    "qformer": QFormerFusion,
    "concat": ConcatFusion,
    "film": FilmFusion,
    "perceiver": PerceiverFusion,
}
_STEP = 8


def build(config: FusionConfig) -> Fusion:
    """A fusion of fresh weights, drawn from torch's generator.

    Raises:
        FusionError: the kind cannot be as small as the qformer.
    """
    return KINDS[config.kind](config, mlp_width(config))


def mlp_width(config: FusionConfig) -> int:
    """Width of the MLPs at which the kind has the qformer's parameters; the count is linear in it.

    Raises:
        FusionError: with the narrowest it would still have more.
    """
    if config.kind == "qformer":
        return config.mlp_ratio * config.dim
    wanted = count(replace(config, kind="qformer"), config.mlp_ratio * config.dim)
    narrowest = count(config, _STEP)
    step = count(config, 2 * _STEP) - narrowest
    width = _STEP * (1 + round((wanted - narrowest) / step))
    if width < _STEP:
        raise FusionError(
            f"fusion: a {config.kind} of dim={config.dim} and layers={config.layers} has at least {narrowest:,} "
            f"parameters, the qformer of mlp_ratio={config.mlp_ratio} has {wanted:,}; raise mlp_ratio"
        )
    return width


def count(config: FusionConfig, width: int) -> int:
    """Trainable parameters with MLPs of this width, on the meta device: no memory, no random numbers."""
    with torch.device("meta"):
        return sum(p.numel() for p in KINDS[config.kind](config, width).parameters())
