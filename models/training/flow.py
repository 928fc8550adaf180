"""Flow matching: noise levels, the path from latents to noise, and its velocity (Lipman et al. 2022; LTX-Video §4)."""

from statistics import NormalDist

import torch
from torch import Tensor

BUCKETS = 4
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)


def draw_sigma(count: int, shift: float, noise: torch.Generator) -> Tensor:
    """[count] noise levels in 0..1: the logistic of a normal around `shift`, LTX's mu for the clip's token count."""
    return torch.sigmoid(torch.randn(count, generator=noise, device=noise.device) + shift)


def quantile_sigma(quantile: float, shift: float) -> float:
    """The noise level below which `draw_sigma` stays with the given chance."""
    return torch.sigmoid(torch.tensor(NormalDist(shift).inv_cdf(quantile))).item()


def mix(latents: Tensor, noise: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Noisy tokens [B, L, C] at `sigma` [B], and their velocity, noise - latents."""
    level = sigma[:, None, None]
    return (1 - level) * latents + level * noise, noise - latents


def by_bucket(losses: Tensor, sigma: Tensor, whole: Tensor) -> dict[str, Tensor]:
    """What clips with losses and levels [B] add to the mean loss of each quarter of the noise levels.

    The mean is over the batch with levels `whole`: `sigma` itself, or more where workers share it.
    """
    own, all_of = ((levels * BUCKETS).long().clamp_max(BUCKETS - 1) for levels in (sigma, whole))
    clips = all_of.bincount(minlength=BUCKETS).tolist()
    return {f"loss_sigma_{k}": losses[own == k].sum() / clips[k] for k in range(BUCKETS) if clips[k]}
