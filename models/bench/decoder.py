"""LTX-Video's transformer and VAE with random weights. Only this needs diffusers."""

from typing import Any

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from torch import Tensor, nn

from models.bench.components import NO_WEIGHTS
from models.bench.setting import Setting, fresh
from models.decoder.ltx import LTXGenerator, VideoGrid
from models.decoder.vae import LatentGeometry, LTXVae
from models.fusion.conditioning import Conditioning
from models.standins import ltx as small_ltx
from models.standins import vae as small_vae


def vae(setting: Setting, dtype: torch.dtype) -> LTXVae:
    """LTX-Video's VAE: the library's defaults are the published one's sizes."""
    with fresh(setting.device, dtype):
        model = AutoencoderKLLTXVideo() if setting.size == "true" else small_vae.build()
    return LTXVae(model, **NO_WEIGHTS)


def transformer(setting: Setting) -> LTXVideoTransformer3DModel:
    """LTX-Video 2B, the library's defaults."""
    return LTXVideoTransformer3DModel() if setting.size == "true" else small_ltx.build(setting.channels)[0]


def generator(setting: Setting, dtype: torch.dtype) -> LTXGenerator:
    """The transformer on the grid of the setting's clips, without T5: captions are embedded before a training begins,
    and at inference the fusion's tokens stand in their place.
    """
    geometry = LatentGeometry(setting.channels, setting.spatial, setting.temporal)
    grid = VideoGrid(*geometry.shape(setting.frames, setting.side, setting.side), geometry)
    with fresh(setting.device, dtype):
        model = transformer(setting)
    no_captions: Any = None
    made = LTXGenerator(model, no_captions, small_ltx.build_scheduler(), grid, **NO_WEIGHTS)
    return made.to(setting.device)


class Generation(nn.Module):
    """The last step of §1.5: a conditioning to a video, all sampling steps without guidance, then the VAE's decoder."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.steps = setting.sampling_steps
        self.vae, self.ltx = vae(setting, setting.dtype), generator(setting, setting.dtype)

    @torch.no_grad()
    def forward(self, conditioning: Conditioning) -> Tensor:
        """A video [B, 3, T, H, W], about -1..1."""
        where = conditioning.latent_tokens.flatten(1, 2)
        noise = torch.Generator(where.device).manual_seed(0)
        latents = self.ltx.sample(where, conditioning.semantic_tokens, steps=self.steps, generator=noise)
        return self.vae.decode(latents)
