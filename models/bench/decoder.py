"""LTX-Video with random weights: transformer and VAE. Only this needs diffusers."""

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from torch import Tensor, nn

from models.bench.components import NO_WEIGHTS
from models.bench.setting import Setting, fresh
from models.decoder.conditions import by_route
from models.decoder.grid import VideoGrid
from models.decoder.ltx import LTXGenerator
from models.decoder.routes import Routes
from models.decoder.sampling import SamplingConfig, sample
from models.decoder.vae import LatentGeometry, LTXVae
from models.fusion.conditioning import Conditioning
from models.standins import ltx as small_ltx
from models.standins import vae as small_vae


def vae(setting: Setting, dtype: torch.dtype) -> LTXVae:
    """LTX-Video's VAE: the library's defaults are the published one's sizes."""
    with fresh(setting.device, dtype):
        model = AutoencoderKLLTXVideo() if setting.size == "true" else small_vae.build()
    return LTXVae(model, **NO_WEIGHTS)


def generator(setting: Setting, dtype: torch.dtype, geometry: LatentGeometry) -> LTXGenerator:
    """The transformer of LTX-Video 2B, the library's defaults, on the grid of the setting's clips."""
    with fresh(setting.device, dtype):
        model = LTXVideoTransformer3DModel() if setting.size == "true" else small_ltx.build(setting.channels)[0]
    grid = VideoGrid(*geometry.shape(setting.frames, setting.side, setting.side), geometry)
    return LTXGenerator(model, small_ltx.build_scheduler(), grid, **NO_WEIGHTS).to(setting.device)


class Generation(nn.Module):
    """Step 5 of §1.5: a conditioning to a video by the default routes and without guidance, then the VAE's decoder.

    The transformer wears its adapters, as Phase 3 leaves it, and has no T5: the fusion's tokens stand in its place.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.config = SamplingConfig(setting.sampling_steps)
        self.vae = vae(setting, setting.dtype)
        self.ltx = generator(setting, setting.dtype, self.vae.geometry)
        self.ltx.add_lora(setting.lora_rank)

    @torch.no_grad()
    def forward(self, conditioning: Conditioning) -> Tensor:
        """A video [B, 3, T, H, W], about -1..1."""
        where, what = self.ltx.pack(conditioning.latents()), conditioning.semantic_tokens
        noise = torch.Generator(where.device).manual_seed(0)
        conditions = by_route(Routes(), where, what, torch.zeros_like(what[0]))
        return self.vae.decode(sample(self.ltx, conditions, self.config, noise))
