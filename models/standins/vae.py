"""The VAE stand-in: `AutoencoderKLLTXVideo` at 8x8x64 latents, trained on generated clips.

From scratch LTX's blocks learn little more than the ground's colour in their first thousand steps, encoder and decoder
each waiting for the other. So both are first given the same lesson, the principal components of blocks of 8x8 pixels
and 2 frames: the encoder learns to name them, the decoder to undo them. Then they train together, on crops while only
pixels count, and on whole clips with LPIPS at the end.
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
CHANNELS, CELL, FRAMES = 64, 8, 2


@dataclass(frozen=True)
class VaeRecipe:
    """Steps, batches and weights of the three stages."""

    lesson_steps: int = 2600
    crop_steps: int = 5200
    clip_steps: int = 900
    crop: int = 32
    """Pixels of a crop's side."""
    window: int = 5
    """Frames of a crop."""
    crop_batch: int = 8
    clip_batch: int = 4
    learning_rate: float = 2e-3
    """Falls over lesson and crops together."""
    clip_learning_rate: float = 3e-4
    lesson_noise: float = 0.05
    """Added to the components that the decoder is given, in their standard deviations."""
    shape_weight: float = 3.0
    """How much more a pixel of a shape counts than one of the ground: shapes cover little, and they are what moves."""
    motion_weight: float = 1.0
    """Of the error of differences between frames: without it, two frames of one latent come out alike."""
    lpips_weight: float = 0.3
    kl_weight: float = 1e-5
    log_variance: float = -5.0
    """Of the posterior at the start: at unit width its noise would drown the latents."""
    seed: int = 0


def build() -> AutoencoderKLLTXVideo:
    """LTX's own autoencoder: 8x8 pixels and 2 frames to a latent of 64 channels."""
    return AutoencoderKLLTXVideo(
        latent_channels=CHANNELS,
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


class Components:
    """Principal components of blocks of 8x8 pixels and 2 frames, each scaled to unit variance.

    The first frame stands twice, as it does in LTX's encoder.
    """

    def __init__(self, clips: Tensor):
        blocks = _blocks(to_unit_range(clips)).movedim(1, -1).flatten(0, -2)
        self.mean = blocks.mean(0)
        spread = blocks - self.mean
        directions, variances, _ = torch.linalg.svd(spread.T @ spread / len(spread))
        self.deviations = variances[:CHANNELS].sqrt()
        self._directions = directions[:, :CHANNELS] / self.deviations

    def __call__(self, video: Tensor) -> Tensor:
        """Of video [B, 3, T, H, W] in -1..1: [B, C, T', H/8, W/8]."""
        return torch.einsum("bkthw,kc->bcthw", _blocks(video) - self.mean.view(1, -1, 1, 1, 1), self._directions)


def _blocks(video: Tensor) -> Tensor:
    """[B, 3, T, H, W] -> [B, 3 * 2 * 8 * 8, T', H/8, W/8]."""
    video = torch.cat([video[:, :, :1], video], dim=2)
    cells = video.unflatten(2, (-1, FRAMES)).unflatten(4, (-1, CELL)).unflatten(6, (-1, CELL))
    return cells.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)


def train(
    clips: Tensor, masks: Tensor, lpips: nn.Module, recipe: VaeRecipe, progress: Progress
) -> AutoencoderKLLTXVideo:
    """Train on uint8 clips [N, T, H, W, 3] and masks [N, T, H, W]; `lpips` takes [B, 3, H, W] in -1..1, gives [B]."""
    torch.manual_seed(recipe.seed)
    vae: Any = build().train()
    last = vae.encoder.conv_out.conv
    nn.init.zeros_(last.weight[-1])
    nn.init.constant_(last.bias[-1], recipe.log_variance)
    components, steps = Components(clips[:300]), recipe.lesson_steps + recipe.crop_steps
    optimizer = _optimizer(vae, recipe.learning_rate)
    for step in range(steps):
        _set_rate(optimizer, recipe.learning_rate, step, steps)
        true, shape = _crops(clips, masks, recipe)
        in_lesson = step < recipe.lesson_steps
        loss = _lesson(vae, true, shape, components, recipe) if in_lesson else _loss(vae, true, shape, None, recipe)
        progress("vae: lesson" if in_lesson else "vae: crops", step + 1, steps, _stepped(vae, optimizer, loss))
    optimizer = _optimizer(vae, recipe.clip_learning_rate)
    for step in range(recipe.clip_steps):
        _set_rate(optimizer, recipe.clip_learning_rate, step, recipe.clip_steps)
        rows = torch.randint(len(clips), (recipe.clip_batch,))
        loss = _loss(vae, to_unit_range(clips[rows]), masks[rows], lpips, recipe)
        progress("vae: clips", step + 1, recipe.clip_steps, _stepped(vae, optimizer, loss))
    _normalise(vae.eval(), clips)
    return vae


def _optimizer(vae: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(vae.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float, step: int, steps: int) -> None:
    """50 steps of warm-up, then half a cosine down to a twentieth."""
    for group in optimizer.param_groups:
        group["lr"] = rate * min(1.0, (step + 1) / 50) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _stepped(vae: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> dict[str, float]:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item()}


def _crops(clips: Tensor, masks: Tensor, recipe: VaeRecipe) -> tuple[Tensor, Tensor]:
    """A batch of windows of random crops, one place for all: video [B, 3, t, c, c] in -1..1, masks [B, t, c, c]."""
    rows = torch.randint(len(clips), (recipe.crop_batch,))
    start = int(torch.randint(clips.shape[1] - recipe.window + 1, ()))
    top, left = (CELL * int(k) for k in torch.randint((clips.shape[2] - recipe.crop) // CELL + 1, (2,)))
    cut = (rows, *(slice(at, at + n) for at, n in ((start, recipe.window), (top, recipe.crop), (left, recipe.crop))))
    return to_unit_range(clips[cut]), masks[cut]


def _lesson(vae: Any, true: Tensor, masks: Tensor, components: Components, recipe: VaeRecipe) -> Tensor:
    """The encoder names the components, each as far as it matters to a pixel; the decoder is given the true ones."""
    target = components(true)
    with torch.autocast(true.device.type, torch.bfloat16):
        named = vae.encode(true).latent_dist.mode().float()
        made = vae.decode(target + recipe.lesson_noise * torch.randn_like(target), return_dict=False)[0].float()
    weight = (components.deviations / components.deviations.mean()).view(1, -1, 1, 1, 1)
    return (weight * (named - target)).square().mean() + _pixels(made - true, masks, recipe)


def _loss(vae: Any, true: Tensor, masks: Tensor, lpips: nn.Module | None, recipe: VaeRecipe) -> Tensor:
    with torch.autocast(true.device.type, torch.bfloat16):
        posterior = vae.encode(true).latent_dist
        made = vae.decode(posterior.sample(), return_dict=False)[0].float()
    error = made - true
    motion = error.diff(dim=2).abs().mean()
    kl = posterior.kl().float().mean() / true[0].numel()
    loss = _pixels(error, masks, recipe) + recipe.motion_weight * motion + recipe.kl_weight * kl
    if lpips is None:
        return loss
    pick = torch.randint(true.shape[2], (4,))
    images = (video[:, :, pick].transpose(1, 2).flatten(0, 1) for video in (made, true))
    return loss + recipe.lpips_weight * lpips(*images).mean()


def _pixels(error: Tensor, masks: Tensor, recipe: VaeRecipe) -> Tensor:
    weight = torch.where(masks[:, None] > 0, recipe.shape_weight, 1.0)
    return (weight * (error.abs() + error.square())).mean()


@torch.no_grad()
def _normalise(vae: Any, clips: Tensor) -> None:
    """Record the latents' per-channel mean and deviation, as LTX's checkpoints do."""
    latents = torch.cat([vae.encode(to_unit_range(part)).latent_dist.mode() for part in clips[:256].split(16)])
    vae.latents_mean.copy_(latents.mean(dim=(0, 2, 3, 4)))
    vae.latents_std.copy_(latents.std(dim=(0, 2, 3, 4)))
