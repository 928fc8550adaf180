"""Small LTX decoders with random weights, of the libraries' own classes, at other sizes than any that is shipped."""

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from transformers import T5Config, T5EncoderModel

from models.decoder.captions import CaptionEncoder
from models.decoder.grid import VideoGrid
from models.decoder.ltx import LTXGenerator
from models.decoder.vae import LatentGeometry, LTXVae
from models.standins import tokenizer
from models.standins.ltx import build_scheduler

TOY_GRID = VideoGrid(2, 4, 4, LatentGeometry(channels=4, spatial=2, temporal=2))
"""The latents of the training tests."""


def transformer(
    channels: int, *, captions: int = 24, heads: int = 2, patch: int = 1, patch_t: int = 1
) -> LTXVideoTransformer3DModel:
    """Two blocks, 16 wide a head; `channels` of a token."""
    torch.manual_seed(0)
    return LTXVideoTransformer3DModel(
        in_channels=channels,
        out_channels=channels,
        patch_size=patch,
        patch_size_t=patch_t,
        num_attention_heads=heads,
        attention_head_dim=16,
        cross_attention_dim=16 * heads,
        num_layers=2,
        caption_channels=captions,
    )


def generator(network: LTXVideoTransformer3DModel, grid: VideoGrid) -> LTXGenerator:
    """The transformer on a grid."""
    return LTXGenerator(network, build_scheduler(), grid, weights_sha256="", standin=True)


def captions(width: int) -> CaptionEncoder:
    """A text encoder of this width."""
    words = tokenizer.build()
    text = T5EncoderModel(
        T5Config(vocab_size=len(words), d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2, dropout_rate=0.0)
    )
    return CaptionEncoder(text.eval(), words)


def vae(channels: int, *, patch: int, scalings: int) -> LTXVae:
    """Spatial compression patch * 2**scalings, temporal 2**scalings."""
    torch.manual_seed(0)
    blocks, scaled = (16,) * (scalings + 1), (True,) * scalings
    network = AutoencoderKLLTXVideo(
        latent_channels=channels,
        patch_size=patch,
        block_out_channels=blocks[1:],
        down_block_types=("LTXVideoDownBlock3D",) * scalings,
        decoder_block_out_channels=blocks[1:],
        layers_per_block=(1,) * (scalings + 1),
        decoder_layers_per_block=(1,) * (scalings + 1),
        spatio_temporal_scaling=scaled,
        decoder_spatio_temporal_scaling=scaled,
        decoder_inject_noise=(False,) * (scalings + 1),
        downsample_type=("conv",) * scalings,
        upsample_residual=(False,) * scalings,
        upsample_factor=(1,) * scalings,
    )
    return LTXVae(network, weights_sha256="", standin=True)


def toy_generator() -> LTXGenerator:
    """One token a cell of `TOY_GRID`, captions 8 wide."""
    return generator(transformer(4, captions=8), TOY_GRID)
