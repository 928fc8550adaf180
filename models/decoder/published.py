"""LTX-Video 2B at its published sizes on the meta device: transformer, VAE and T5-XXL text encoder can be counted
without weights and without memory.
"""

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from torch import nn
from transformers import T5Config, T5EncoderModel

T5_XXL = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}
NAMES = ("transformer", "vae", "text_encoder")


def on_meta(name: str) -> nn.Module:
    """A part of LTX-Video, of `NAMES`, without memory behind its parameters.

    Raises:
        ValueError: LTX-Video has no such part.
    """
    with torch.device("meta"):
        if name == "transformer":
            return LTXVideoTransformer3DModel()  # diffusers' defaults are the published sizes, here and in the VAE
        if name == "vae":
            return AutoencoderKLLTXVideo()
        if name == "text_encoder":
            return T5EncoderModel(T5Config(**T5_XXL))
    raise ValueError(f"LTX-Video has no part {name!r}; there are {', '.join(NAMES)}")
