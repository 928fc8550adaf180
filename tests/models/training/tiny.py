"""The repository's own decoder at toy size: LTX's classes with random weights, the same each time."""

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from torch import nn

from models.decoder.ltx import LTXGenerator, VideoGrid
from models.decoder.vae import LatentGeometry, LTXVae
from models.standins.ltx import build_scheduler
from models.training.randomness import isolated
from tests.models.training.toy import CAPTION, CHANNELS, FRAMES, SIDE

CPU = torch.device("cpu")


def vae() -> LTXVae:
    """Latents [B, 4, 2, 4, 4] to videos [B, 3, 3, 8, 8], the shape of the toy data's frames."""
    with isolated(3, CPU):
        model = AutoencoderKLLTXVideo(
            latent_channels=CHANNELS,
            block_out_channels=(8, 16),
            decoder_block_out_channels=(16,),
            down_block_types=("LTXVideo095DownBlock3D",),
            spatio_temporal_scaling=(True,),
            decoder_spatio_temporal_scaling=(True,),
            layers_per_block=(1, 1),
            decoder_layers_per_block=(1, 1),
            decoder_inject_noise=(False,) * 2,
            downsample_type=("spatiotemporal",),
            upsample_residual=(True,),
            upsample_factor=(2,),
            patch_size=1,
        )
    return LTXVae(model, weights_sha256="", standin=True)


def ltx() -> LTXGenerator:
    """The transformer on the toy data's latents; its text encoder is left out, as training reads cached captions."""
    with isolated(7, CPU):
        transformer = LTXVideoTransformer3DModel(
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_attention_heads=2,
            attention_head_dim=16,
            cross_attention_dim=32,
            num_layers=2,
            caption_channels=CAPTION,
        )
    grid = VideoGrid(FRAMES, SIDE, SIDE, LatentGeometry(CHANNELS, spatial=2, temporal=2))
    return LTXGenerator(transformer, nn.Identity(), build_scheduler(), grid, weights_sha256="", standin=True)
