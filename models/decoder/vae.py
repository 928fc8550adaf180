"""LTX-Video's VAE, frozen: pixels to normalised latents and back (HaCohen et al. 2024, arXiv:2501.00103).

The latent geometry is read from the checkpoint and never assumed: the real one has 128 channels, 32 pixels and 8
frames to a latent; the stand-in has its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor

from models.frozen import Frozen
from models.provenance import folder_sha256, is_standin


@dataclass(frozen=True)
class LatentGeometry:
    """How pixels map to latents."""

    channels: int
    spatial: int
    """Pixels to a latent cell, in height and in width."""
    temporal: int
    """Frames to a latent frame, after the first."""

    def shape(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Latent (frames, height, width) of a clip.

        Raises:
            ValueError: the clip does not fit the grid.
        """
        if (frames - 1) % self.temporal or height % self.spatial or width % self.spatial:
            raise ValueError(
                f"a clip of {frames} frames of {height}x{width} does not fit the VAE: "
                f"{self.temporal}k+1 frames and multiples of {self.spatial} pixels are needed"
            )
        return (frames - 1) // self.temporal + 1, height // self.spatial, width // self.spatial


def to_unit_range(frames: Tensor) -> Tensor:
    """uint8 [B, T, H, W, 3] to float [B, 3, T, H, W] in -1..1."""
    return frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def to_uint8(video: Tensor) -> Tensor:
    """float [B, 3, T, H, W] in -1..1, clipped, to uint8 [B, T, H, W, 3]."""
    return ((video.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 4, 1)


class LTXVae(Frozen):
    """Encoder and decoder over normalised latents: (z - mean) * scaling / std."""

    def __init__(self, vae: Any, *, weights_sha256: str, standin: bool):
        super().__init__()
        self.vae = vae
        self.weights_sha256, self.standin = weights_sha256, standin
        self.geometry = LatentGeometry(
            vae.config.latent_channels, vae.spatial_compression_ratio, vae.temporal_compression_ratio
        )
        self.freeze()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load a folder written by `save_pretrained`; safetensors only."""
        vae = AutoencoderKLLTXVideo.from_pretrained(folder, use_safetensors=True, torch_dtype=torch.float32)
        return cls(vae, weights_sha256=folder_sha256(folder), standin=is_standin(folder))

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """uint8 [B, T, H, W, 3] to normalised latents [B, C, T', h, w] (the posterior's mode)."""
        self.geometry.shape(*frames.shape[1:4])
        latents = self.vae.encode(to_unit_range(frames).to(self.vae.dtype)).latent_dist.mode()
        return self._affine(latents, inverse=False)

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, T', h, w] to frames [B, 3, T, H, W], about -1..1; differentiable."""
        timestep = None
        if self.vae.config.timestep_conditioning:
            timestep = torch.full((len(latents),), 0.05, dtype=latents.dtype, device=latents.device)
        return self.vae.decode(self._affine(latents, inverse=True), timestep, return_dict=False)[0]

    def _affine(self, latents: Tensor, *, inverse: bool) -> Tensor:
        mean = self.vae.latents_mean.view(1, -1, 1, 1, 1).to(latents)
        scale = self.vae.config.scaling_factor / self.vae.latents_std.view(1, -1, 1, 1, 1).to(latents)
        return latents / scale + mean if inverse else (latents - mean) * scale
