"""What a fusion module hands to the decoder: where (latent tokens) and what (caption tokens)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """Conditioning of a batch of clips; cells of a latent frame are in raster order."""

    latent_tokens: Tensor
    """[B, T', h*w, C], in the VAE's normalised latent space."""
    semantic_tokens: Tensor
    """[B, S, caption_channels], for the decoder's cross-attention."""
    hidden: Tensor
    """[B, T', h*w, dim], the queries after the last layer."""
    grid: tuple[int, int]
    """(h, w) of a latent frame."""
    attention: tuple[Tensor, ...] = ()
    """One [B, T'*h*w + S, K] a layer, mean of the heads, spatial tokens first; rows sum to 1, or to 0 where a
    perceiver's layer reads nothing, as all but the first do at the start.

    Empty unless asked for, and always for the kinds without attention.
    """
    spatial_tokens: int = 0
    """How many of the K context tokens are spatial."""

    def latents(self) -> Tensor:
        """The latent tokens as a VAE latent, [B, C, T', h, w]."""
        return self.latent_tokens.unflatten(2, self.grid).permute(0, 4, 1, 2, 3)

    def semantic_share(self) -> Tensor:
        """[B, T', h*w] in 0..1: how much of its attention each output cell gave to the VLM, over all layers."""
        if not self.attention:
            raise ValueError(
                "conditioning: no attention was kept; call a fusion that has attention (concat and film have none) "
                "with return_attention=True"
            )
        batch, frames, cells = self.latent_tokens.shape[:3]
        mass = torch.stack([layer[:, : frames * cells, self.spatial_tokens :].sum(-1) for layer in self.attention])
        return mass.mean(0).view(batch, frames, cells)


def cells_of(latents: Tensor) -> Tensor:
    """VAE latents [B, C, T', h, w] as tokens [B, T', h*w, C]; the inverse of `Conditioning.latents`."""
    return latents.flatten(3).permute(0, 2, 3, 1)
