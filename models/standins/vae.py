"""The VAE stand-in: `AutoencoderKLLTXVideo` at 8x8x32 latents, trained on generated clips.

Single frames first, then clips: straight on clips it hardly learns in an hour of two cores.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor, nn
from torch.nn import functional as F

from models.decoder.vae import to_unit_range

Progress = Callable[[str, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class VaeRecipe:
    """Steps, batches and weights of the two stages."""

    frame_steps: int = 1100
    frame_batch: int = 24
    clip_steps: int = 700
    clip_batch: int = 5
    learning_rate: float = 1e-3
    clip_learning_rate: float = 6e-4
    lpips_weight: float = 0.3
    kl_weight: float = 1e-5
    seed: int = 0


def build() -> AutoencoderKLLTXVideo:
    """LTX's own autoencoder: 8 pixels and 2 frames to a latent of 32 channels."""
    width = (48, 80)
    return AutoencoderKLLTXVideo(
        latent_channels=32,
        block_out_channels=width,
        decoder_block_out_channels=width,
        down_block_types=("LTXVideoDownBlock3D",) * 2,
        spatio_temporal_scaling=(True, False),
        decoder_spatio_temporal_scaling=(True, False),
        layers_per_block=(2, 2, 2),
        decoder_layers_per_block=(2, 2, 2),
        decoder_inject_noise=(False,) * 3,
        downsample_type=("conv",) * 2,
        upsample_residual=(False,) * 2,
        upsample_factor=(1,) * 2,
        patch_size=4,
    )


def train(clips: Tensor, lpips: nn.Module, recipe: VaeRecipe, progress: Progress) -> AutoencoderKLLTXVideo:
    """Train on uint8 [N, T, H, W, 3]; `lpips(x, y)` takes [B, 3, H, W] in -1..1 and gives [B]."""
    torch.manual_seed(recipe.seed)
    vae: Any = build().train()
    frames = clips.flatten(0, 1)[:, None]
    stages = (
        ("vae: frames", frames, recipe.frame_steps, recipe.frame_batch, recipe.learning_rate),
        ("vae: clips", clips, recipe.clip_steps, recipe.clip_batch, recipe.clip_learning_rate),
    )
    for name, data, steps, batch, rate in stages:
        optimizer = torch.optim.AdamW(vae.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
        for step in range(steps):
            warm = min(1.0, (step + 1) / 50)
            for group in optimizer.param_groups:
                group["lr"] = rate * warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
            true = to_unit_range(data[torch.randint(len(data), (batch,))])
            loss, parts = _loss(vae, true, lpips, recipe)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
            optimizer.step()
            progress(name, step + 1, steps, parts)
    _normalise(vae.eval(), clips)
    return vae


def _loss(vae: Any, true: Tensor, lpips: nn.Module, recipe: VaeRecipe):
    posterior = vae.encode(true).latent_dist
    made = vae.decode(posterior.sample(), return_dict=False)[0]
    l1, mse = F.l1_loss(made, true), F.mse_loss(made, true)
    pick = torch.randint(true.shape[2], (min(4, true.shape[2]),)) if true.shape[2] > 1 else torch.tensor([0])
    as_images = [v[:, :, pick].transpose(1, 2).flatten(0, 1) for v in (made, true)]
    perceptual = lpips(*as_images).mean()
    kl = posterior.kl().mean() / true[0].numel()
    loss = l1 + mse + recipe.lpips_weight * perceptual + recipe.kl_weight * kl
    return loss, {"loss": loss.item(), "l1": l1.item(), "lpips": perceptual.item()}


@torch.no_grad()
def _normalise(vae: Any, clips: Tensor) -> None:
    """Record the latents' per-channel mean and deviation, as LTX's checkpoints do."""
    latents = torch.cat([vae.encode(to_unit_range(part)).latent_dist.mode() for part in clips[:256].split(16)])
    vae.latents_mean.copy_(latents.mean(dim=(0, 2, 3, 4)))
    vae.latents_std.copy_(latents.std(dim=(0, 2, 3, 4)))
