"""Whether the two streams' losses pull the fusion in one direction (§4.1: "VLM and spatial features interfere").

The spatial stream's loss is the latents' distance, which asks where things are; the semantic stream's is the caption
tokens', which asks what happens. Their gradients are compared over what both train: the streams' projections, the
keys' norm and all layers; not the queries and heads, of which each loss has its own. A negative cosine is a conflict: a
step for one stream's loss is a step against the other's (Du et al. 2018, arXiv:1812.02224; Yu et al. 2020,
arXiv:2001.06782). The losses' weights do not change it.
"""

import math

import torch
from torch import Tensor

from models.fusion.base import Fusion

GRADIENT_COSINE = "gradient_cosine"
"""Its name in `history.jsonl` and MLflow: -1..1; 1 the losses pull together, 0 they do not touch, negative they pull
against each other. Steps at which it was not measured lack it."""

_OF_ONE_LOSS = ("queries", "semantic_queries", "latent_head", "semantic_head")


def gradient_cosine(fusion: Fusion, spatial_loss: Tensor, semantic_loss: Tensor) -> dict[str, float]:
    """The cosine of two losses' gradients under its name; nothing where one has no gradient, or no finite one.

    No parameter's own `grad` is touched. The losses' graph is freed.
    """
    shared = [p for name, p in fusion.named_parameters() if name.split(".")[0] not in _OF_ONE_LOSS]
    first = torch.autograd.grad(spatial_loss, shared, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(semantic_loss, shared, allow_unused=True)
    pairs = [(a.double(), b.double()) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    dot = sum(float((a * b).sum()) for a, b in pairs)
    lengths = [sum(float(pair[side].square().sum()) for pair in pairs) ** 0.5 for side in range(2)]
    return {GRADIENT_COSINE: dot / (lengths[0] * lengths[1])} if all(lengths) and math.isfinite(dot) else {}
