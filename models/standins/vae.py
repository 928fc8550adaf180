"""The VAE stand-in: `AutoencoderKLLTXVideo` at 8x8x32 latents, trained on generated clips.

Short windows first, whole clips last. Two choices decide whether it learns in an hour of one core: the residual
down- and upsampling of LTX 0.9.5 (without it, the first hundreds of steps learn the ground alone), and a posterior that
starts narrow (at unit width its noise drowns the first latents).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor, nn

from models.decoder.vae import to_unit_range

Progress = Callable[[str, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class VaeRecipe:
    """Steps, batches and weights of the two stages."""

    window_steps: int = 5600
    window: int = 5
    """Frames of a window: 2 latent frames after the first."""
    clip_steps: int = 500
    batch: int = 4
    learning_rate: float = 1e-3
    clip_learning_rate: float = 1e-4
    lpips_weight: float = 0.3
    shape_weight: float = 3.0
    """How much more a pixel of a shape counts than one of the ground: shapes cover little, and they are what moves."""
    motion_weight: float = 1.0
    """Of the error of differences between frames: without it, two frames of one latent come out alike."""
    kl_weight: float = 1e-5
    log_variance: float = -5.0
    """Of the posterior at the start."""
    seed: int = 0


def build() -> AutoencoderKLLTXVideo:
    """LTX's own autoencoder: 8 pixels and 2 frames to a latent of 32 channels."""
    return AutoencoderKLLTXVideo(
        latent_channels=32,
        block_out_channels=(48, 96),
        decoder_block_out_channels=(96,),
        down_block_types=("LTXVideo095DownBlock3D",),
        spatio_temporal_scaling=(True,),
        decoder_spatio_temporal_scaling=(True,),
        layers_per_block=(2, 2),
        decoder_layers_per_block=(2, 2),
        decoder_inject_noise=(False,) * 2,
        downsample_type=("spatiotemporal",),
        upsample_residual=(True,),
        upsample_factor=(2,),
        patch_size=4,
    )


def train(
    clips: Tensor, masks: Tensor, lpips: nn.Module, recipe: VaeRecipe, progress: Progress
) -> AutoencoderKLLTXVideo:
    """Train on uint8 clips [N, T, H, W, 3] and masks [N, T, H, W]; `lpips` takes [B, 3, H, W] in -1..1, gives [B]."""
    torch.manual_seed(recipe.seed)
    vae: Any = build().train()
    last = vae.encoder.conv_out.conv
    nn.init.zeros_(last.weight[-1])
    nn.init.constant_(last.bias[-1], recipe.log_variance)
    stages = (
        ("vae: windows", recipe.window, recipe.window_steps, recipe.learning_rate),
        ("vae: clips", clips.shape[1], recipe.clip_steps, recipe.clip_learning_rate),
    )
    for name, length, steps, rate in stages:
        optimizer = torch.optim.AdamW(vae.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
        for step in range(steps):
            warm = min(1.0, (step + 1) / 50)
            for group in optimizer.param_groups:
                group["lr"] = rate * warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
            rows = torch.randint(len(clips), (recipe.batch,))
            start = int(torch.randint(clips.shape[1] - length + 1, ()))
            true = to_unit_range(clips[rows, start : start + length])
            loss, parts = _loss(vae, true, masks[rows, start : start + length], lpips, recipe)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
            optimizer.step()
            progress(name, step + 1, steps, parts)
    _normalise(vae.eval(), clips)
    return vae


def _loss(vae: Any, true: Tensor, masks: Tensor, lpips: nn.Module, recipe: VaeRecipe):
    with torch.autocast(true.device.type, torch.bfloat16):
        posterior = vae.encode(true).latent_dist
        made = vae.decode(posterior.sample(), return_dict=False)[0].float()
    error = made - true
    weight = torch.where(masks[:, None] > 0, recipe.shape_weight, 1.0)
    pixels = (weight * (error.abs() + error.square())).mean()
    motion = error.diff(dim=2).abs().mean()
    pick = torch.randint(true.shape[2], (4,))
    perceptual = lpips(*(video[:, :, pick].transpose(1, 2).flatten(0, 1) for video in (made, true))).mean()
    kl = posterior.kl().float().mean() / true[0].numel()
    loss = pixels + recipe.motion_weight * motion + recipe.lpips_weight * perceptual + recipe.kl_weight * kl
    return loss, {"loss": loss.item(), "l1": error.abs().mean().item(), "lpips": perceptual.item()}


@torch.no_grad()
def _normalise(vae: Any, clips: Tensor) -> None:
    """Record the latents' per-channel mean and deviation, as LTX's checkpoints do."""
    latents = torch.cat([vae.encode(to_unit_range(part)).latent_dist.mode() for part in clips[:256].split(16)])
    vae.latents_mean.copy_(latents.mean(dim=(0, 2, 3, 4)))
    vae.latents_std.copy_(latents.std(dim=(0, 2, 3, 4)))
