"""The reconstruction objective of Phases 1 and 2: latents always, pixels through the frozen VAE now and then (§1.4)."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from models.fusion.conditioning import Conditioning, cells_of
from models.training.config import ConfigError
from models.training.data import Batch
from models.training.losses import Perceptual, latent_huber, latent_mse, perceptual, pixel_l1


class Decoder(Protocol):
    """A frozen VAE's way back to pixels."""

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, T', h, w] to a video [B, 3, T, H, W] in [-1, 1], differentiable."""
        ...


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the terms. Pixels cost a decoder pass each way, so few clips pay for them, every few steps."""

    latent_loss: Literal["huber", "mse"] = "huber"
    latent_weight: float = 1.0
    pixel_weight: float = 0.5
    """Of the mean absolute error of pixels in [-1, 1]."""
    perceptual_weight: float = 0.5
    """Of LPIPS. The net that trains is not the only one that judges: evaluation reports a second."""
    pixel_every: int = 4
    """Steps from one pixel step to the next; 0 compares latents only."""
    pixel_clips: int = 2
    """Clips of the batch that are decoded in a pixel step."""

    def __post_init__(self) -> None:
        if self.latent_loss not in ("huber", "mse"):
            raise ConfigError(f"objective: latent_loss={self.latent_loss!r}; one of huber, mse")
        if self.pixel_every < 0 or self.pixel_clips < 1:
            raise ConfigError("objective: pixel_every must be at least 0 and pixel_clips at least 1")

    def decoded(self, step: int) -> int:
        """How many clips this step decodes."""
        return self.pixel_clips if self.pixel_every and step % self.pixel_every == 0 else 0


class Reconstruction:
    """The objective with the frozen networks it looks through."""

    def __init__(self, config: ObjectiveConfig, vae: Decoder | None, distance: Perceptual | None) -> None:
        if config.pixel_every and (vae is None or distance is None):
            raise ConfigError("objective: comparing pixels needs the VAE and LPIPS; give both or set pixel_every=0")
        self.config, self.vae, self.distance = config, vae, distance

    def __call__(self, conditioning: Conditioning, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum and its terms. Pixels count in the steps that decode.

        Of a worker's part of a batch, what it adds to those of the batch.
        """
        measure = latent_huber if self.config.latent_loss == "huber" else latent_mse
        terms = {"latent": batch.share * measure(conditioning.latent_tokens, cells_of(batch.latents))}
        total = self.config.latent_weight * terms["latent"]
        pixels = self._pixels(conditioning, batch)
        if pixels:
            terms |= pixels
            total = total + self.config.pixel_weight * terms["pixel"]
            total = total + self.config.perceptual_weight * terms["perceptual"]
        return total, terms

    def _pixels(self, conditioning: Conditioning, batch: Batch) -> dict[str, Tensor]:
        """Nothing where the step decodes no clip; zeros where it does and none of them is here."""
        if self.vae is None or self.distance is None or (batch.frames is None and batch.decoded is None):
            return {}
        if batch.frames is None:
            return dict.fromkeys(("pixel", "perceptual"), batch.latents.new_zeros(()))
        # diffusers takes seconds to import: only where pixels are compared
        from models.decoder.vae import to_unit_range

        true, share = to_unit_range(batch.frames), 1.0 if batch.decoded is None else batch.decoded.share
        latents = conditioning.latents()[: len(batch.frames)]
        with torch.autocast(latents.device.type, enabled=False):
            video = self.vae.decode(latents.float())
            distance = perceptual(video, true, self.distance)
            return {"pixel": share * pixel_l1(video, true), "perceptual": share * distance}
