"""Held-out errors of a conditioning, clip by clip: the terms of Phase 2's objective that need no decoder (§1.4)."""

import numpy as np
import torch

from models.evaluation.baselines import others
from models.training.losses import caption
from models.training.reconstruct import Conditionings


def latent_errors(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean squared error of normalised latents [N, C, T', h, w], of each clip: [N]; 1 is what the mean scores."""
    return np.square(predicted.astype(np.float64) - true.astype(np.float64)).reshape(len(true), -1).mean(1)


def caption_errors(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Phase 2's caption term of each clip's caption tokens [N, S, D]: [N]; the scale is that of all N clips."""
    made, wanted = torch.from_numpy(predicted).float(), torch.from_numpy(true).float()
    square = wanted.square().mean()
    clips = range(len(made))
    return np.array([caption(made[k : k + 1], wanted[k : k + 1], square).item() for k in clips])


def errors(made: Conditionings, latents: np.ndarray, captions: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """By name, each [N]: `latent`, `caption`, and `latent_shuffled`, where each clip is told what another shows.

    Args:
        latents: the VAE's, [N, C, T', h, w].
        captions: the text encoder's, pooled, [N, S, caption_channels].
        seed: of which clip stands in for which.

    Raises:
        MetricInputError: a single clip, which has no other.
    """
    return {
        "latent": latent_errors(made.latents, latents),
        "caption": caption_errors(made.semantic, captions),
        "latent_shuffled": latent_errors(made.latents[others(len(latents), seed)], latents),
    }
