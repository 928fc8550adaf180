"""Sampling of latents: Euler steps along the learned velocity, with guidance and from initial latents (design §4.5)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.decoder.conditions import Conditions
from models.decoder.ltx import LTXGenerator


class SamplingError(ValueError):
    """Settings that cannot be sampled with."""


@dataclass(frozen=True)
class SamplingConfig:
    """How latents are drawn."""

    steps: int
    """Euler steps from noise to latents; two at least, for LTX's schedule is stretched between its first and last."""
    guidance_scale: float = 1.0
    """How far beyond the answer to the null (Ho and Salimans 2022, arXiv:2207.12598); 1 is off and costs nothing."""
    strength: float = 0.5
    """Share of the steps that initial latents are led through, as diffusers' LTX pipeline has it; 1 begins at noise."""

    def __post_init__(self) -> None:
        if self.steps < 2 or self.guidance_scale < 1 or not 0 < self.strength <= 1:
            raise SamplingError(
                f"sampling: needs steps={self.steps} >= 2, guidance_scale={self.guidance_scale} >= 1 "
                f"and 0 < strength={self.strength} <= 1"
            )


@torch.no_grad()
def sample(generator: LTXGenerator, conditions: Conditions, config: SamplingConfig, noise: torch.Generator) -> Tensor:
    """Normalised latents [B, C, T', h, w], from noise of `noise`.

    Raises:
        SamplingError: guidance is asked for but the conditions have no null.
    """
    unguided = None if config.guidance_scale == 1 else _unguided(conditions)
    grid, scheduler = generator.grid, generator.scheduler
    latents = torch.randn(
        len(conditions.semantic), grid.tokens, grid.channels, generator=noise, device=noise.device
    ).to(conditions.semantic)
    sigmas = torch.linspace(1.0, 1 / config.steps, config.steps).tolist()
    scheduler.set_timesteps(sigmas=sigmas, mu=generator.shift, device=latents.device)
    first = 0
    if conditions.initial is not None:
        first = config.steps - max(1, round(config.strength * config.steps))
        latents = scheduler.scale_noise(conditions.initial, scheduler.timesteps[first : first + 1], latents)
    for sigma, timestep in zip(scheduler.sigmas[first:-1], scheduler.timesteps[first:], strict=True):
        level = sigma.expand(len(latents))
        velocity = generator.velocity(latents, level, conditions)
        if unguided is not None:  # a second pass after the first needs no more memory than one
            away = generator.velocity(latents, level, unguided)
            velocity = away + config.guidance_scale * (velocity - away)
        latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
    return grid.unpack(latents)


def _unguided(conditions: Conditions) -> Conditions:
    """The same conditions with the null for the semantic tokens."""
    if conditions.null is None:
        raise SamplingError(
            "sampling: guidance has no null to lead away from; set guidance_scale=1 where cross_attention is off"
        )
    null = conditions.null.to(conditions.semantic).expand(len(conditions.semantic), -1, -1)
    return replace(conditions, semantic=null, mask=None)
