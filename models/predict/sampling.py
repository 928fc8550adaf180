"""A predictor's draw of the future, from tokens and latents of the context."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.decoder.conditions import by_route
from models.decoder.ltx import LTXGenerator
from models.decoder.sampling import SamplingConfig, sample
from models.encoders.base import Tokens
from models.fusion.base import Fusion
from models.fusion.conditioning import Conditioning
from models.training import checkpoint
from models.training.checkpoint import CheckpointError
from models.training.data import tokens_to
from models.training.generator import Adapted, load_generator
from models.training.horizon import Horizon, with_context
from models.training.recipe import load_fusion


@dataclass(frozen=True)
class Trained:
    """What a predictor's checkpoint gives; fusion and generator may lie on devices of their own."""

    fusion: Fusion
    generator: LTXGenerator
    adapted: Adapted
    horizon: Horizon


def load(path: Path, generator: LTXGenerator) -> Trained:
    """The predictor of a checkpoint, its adapters put into a fresh generator.

    Raises:
        CheckpointError: damaged, of another generator, or of a phase: those were shown whole clips, and foretell
            nothing.
    """
    found = checkpoint.read(path)
    if "horizon" not in found.identity["config"]:
        raise CheckpointError(
            f"{path}: its training saw whole clips, so nothing it draws is a prediction; give a predictor's checkpoint"
        )
    return Trained(load_fusion(path), generator, load_generator(path, generator), found.setting("horizon", Horizon))


@torch.no_grad()
def condition(trained: Trained, spatial: Tokens | None, semantic: Tokens | None) -> Conditioning:
    """Conditioning of B clips from tokens of their context at full length; of an absent stream, None, the null.

    Raises:
        FusionError: both streams are absent.
    """
    device = trained.fusion.device
    return trained.fusion(*(None if tokens is None else tokens_to(tokens, device) for tokens in (spatial, semantic)))


@torch.no_grad()
def foretell(
    trained: Trained, conditioning: Conditioning, context: Tensor, config: SamplingConfig, noise: torch.Generator
) -> Tensor:
    """Latents [B, C, T', h, w] of whole clips, the context's as they are and those to come as the generator draws them.

    Args:
        context: normalised latents [B, C, K, h, w] of the context.
        noise: the draw's only randomness; equally seeded on the same device it gives the same latents.
    """
    generator = trained.generator
    there = next(generator.transformer.parameters())
    known, said = context.to(there), conditioning.semantic_tokens.to(there)
    where = generator.pack(with_context(conditioning.latents().to(there), known))
    conditions = by_route(trained.adapted.routes, where, said, trained.adapted.null.to(there))
    return with_context(sample(generator, conditions, config, noise), known)
