"""The one door to the fusions: the kind that a configuration names, at the qformer's number of parameters (§C).

Kinds are compared at equal width, depth, tokens and output heads; only the width inside their MLPs differs. It is a
multiple of 8, as tensor cores want it, so counts agree to half such a step; tests/models/fusion/test_budget.py holds
how near that is.
"""

from collections.abc import Mapping

from models.fusion.base import Fusion
from models.fusion.concat import ConcatFusion
from models.fusion.config import FusionConfig
from models.fusion.film import FilmFusion
from models.fusion.perceiver import PerceiverFusion
from models.fusion.qformer import QFormerFusion
from models.fusion.size import mlp_width

KINDS: Mapping[str, type[Fusion]] = {
    "qformer": QFormerFusion,
    "concat": ConcatFusion,
    "film": FilmFusion,
    "perceiver": PerceiverFusion,
}


def build(config: FusionConfig) -> Fusion:
    """A fusion of fresh weights, drawn from torch's generator.

    Raises:
        FusionError: the kind cannot be as small as the qformer.
    """
    return KINDS[config.kind](config, mlp_width(config))
