"""Encoders that nothing has trained: the real classes, small, with random weights, where no weights are to be had.

What is measured with one says what the rest of the pipeline makes of features that no data has shaped. It says nothing
of the published network of that name.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import nn

from models.encoders.base import PatchEncoder
from models.training.randomness import isolated

Network = Literal["dinov2", "siglip", "mae", "eva_clip"]
HEAD = 32
"""Width of an attention head."""


class UntrainedError(ValueError):
    """A network that cannot be made so."""


def untrained(
    network: Network, *, width: int, depth: int, patch: int, size: int, stride: int, seed: int
) -> PatchEncoder:
    """An encoder as its library starts it before training, by the seed; marked as a stand-in.

    Args:
        width: of its tokens, a multiple of 32.
        depth: layers.
        patch: pixels along the side of one.
        size: pixels along the side of the frames it will see.
        stride: the VAE's frames to a latent frame.

    Raises:
        UntrainedError: no such network, or sizes that do not fit.
    """
    if network not in _MAKE:
        raise UntrainedError(f"untrained: no network {network!r}; one of {', '.join(get_args(Network))}")
    if width % HEAD or size % patch or depth < 1:
        raise UntrainedError(
            f"untrained {network}: width={width} must be a multiple of {HEAD}, size={size} of patch={patch}, "
            f"depth={depth} at least 1"
        )
    with isolated(seed, torch.device("cpu")):
        model, encoder = _MAKE[network](width, depth, patch, size)
    return encoder(model, stride=stride, weights_sha256=_sha256(model), standin=True)


def _vit(width: int, depth: int, patch: int, size: int) -> dict[str, Any]:
    """Sizes by the names that the transformers library gives them."""
    sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": width // HEAD}
    return {**sizes, "intermediate_size": 4 * width, "image_size": size, "patch_size": patch}


def _dinov2(*sizes: int) -> tuple[nn.Module, Any]:
    from transformers import Dinov2Config, Dinov2Model

    from models.encoders.dinov2 import Dinov2Encoder

    vit = _vit(*sizes)
    del vit["intermediate_size"]  # DINOv2 has `mlp_ratio`, 4
    return Dinov2Model(Dinov2Config(**vit)), Dinov2Encoder


def _siglip(*sizes: int) -> tuple[nn.Module, Any]:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    from models.encoders.siglip import SiglipEncoder

    return SiglipVisionModel(SiglipVisionConfig(**_vit(*sizes))), SiglipEncoder


def _mae(*sizes: int) -> tuple[nn.Module, Any]:
    from transformers import ViTMAEConfig, ViTMAEModel

    from models.encoders.mae import MaeEncoder

    return ViTMAEModel(ViTMAEConfig(**_vit(*sizes))), MaeEncoder


def _eva_clip(width: int, depth: int, patch: int, size: int) -> tuple[nn.Module, Any]:
    import timm

    from models.encoders.eva_clip import EvaClipEncoder

    sizes: dict[str, Any] = {
        "img_size": size,
        "patch_size": patch,
        "embed_dim": width,
        "depth": depth,
        "num_heads": width // HEAD,
    }
    return timm.create_model("eva02_base_patch16_clip_224", num_classes=0, **sizes), EvaClipEncoder


_MAKE: dict[str, Callable[[int, int, int, int], tuple[nn.Module, Any]]] = {
    "dinov2": _dinov2,
    "siglip": _siglip,
    "mae": _mae,
    "eva_clip": _eva_clip,
}


def _sha256(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode() + parameter.detach().numpy().tobytes())
    return digest.hexdigest()
