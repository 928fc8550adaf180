"""Small encoders with random weights, of the real classes, saved as a user's folder holds them and loaded by name."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    SamConfig,
    SamModel,
    SiglipConfig,
    SiglipModel,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)

from models.encoders.base import Encoder
from models.encoders.registry import load_encoder
from models.standins import shelf

PATCH = 8
STRIDE = 2
VIT = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": PATCH,
    "initializer_range": 0.1,
}
DROPOUT = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}
NAMES = (
    *("dinov2", "dinov2_registers", "dinov2_multi", "qwen", "qwen_premerge"),
    *("sam", "sam_neck", "mobile_sam", "siglip", "mae", "eva_clip"),
)
SQUARES = ("sam", "sam_neck", "mobile_sam")
"""Those that pad a frame of any size to a square; the others want frames that tile."""


def dinov2(folder: Path) -> None:
    Dinov2Model(Dinov2Config(**VIT, **DROPOUT, drop_path_rate=0.5)).save_pretrained(folder)


def dinov2_registers(folder: Path) -> None:
    Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**VIT, **DROPOUT, num_register_tokens=4)).save_pretrained(folder)


def sam(folder: Path) -> None:
    sizes = {
        **VIT,
        "image_size": 128,
        "output_channels": 32,
        "window_size": 3,
        "global_attn_indexes": [1, 3],
        "attention_dropout": 0.5,
    }
    SamModel(SamConfig(vision_config=sizes)).save_pretrained(folder)


def siglip(folder: Path) -> None:
    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 40}
    vision = {**VIT, "intermediate_size": 128, "attention_dropout": 0.5}
    SiglipModel(SiglipConfig(vision_config=vision, text_config=text)).save_pretrained(folder)


def mae(folder: Path) -> None:
    decoder = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    decoder = {f"decoder_{name}": value for name, value in decoder.items()}
    ViTMAEForPreTraining(ViTMAEConfig(**VIT, **DROPOUT, **decoder, intermediate_size=128)).save_pretrained(folder)


def eva_clip(folder: Path) -> None:
    import timm
    from timm.models._hub import save_for_hf

    sizes = {"img_size": 64, "patch_size": PATCH, "embed_dim": 64, "depth": 4, "num_heads": 4, "num_classes": 16}
    model = timm.create_model("eva02_base_patch16_clip_224", **sizes)
    with torch.no_grad():
        model.patch_embed.proj.weight.normal_(std=0.1)
    save_for_hf(model, folder, model_args=sizes, safe_serialization=True)


def qwen(folder: Path) -> None:
    """The stand-in's sizes and processor with weights that saw no caption: each token keeps most of its own place."""
    config = Qwen2_5_VLConfig.from_pretrained(shelf.folder("qwen"))
    Qwen2_5_VLForConditionalGeneration(config).float().save_pretrained(folder)
    Qwen2_5_VLProcessor.from_pretrained(shelf.folder("qwen")).save_pretrained(folder)


SAVE: dict[str, Callable[[Path], None]] = {
    **{"dinov2": dinov2, "dinov2_multi": dinov2, "dinov2_registers": dinov2_registers, "sam": sam, "sam_neck": sam},
    **{"qwen": qwen, "qwen_premerge": qwen, "siglip": siglip, "mae": mae, "eva_clip": eva_clip},
}


def load(name: str, folder: Path) -> Encoder:
    """One small encoder, as every user gets it."""
    if name == "mobile_sam":
        return mobile_sam()
    torch.manual_seed(0)
    SAVE[name](folder)
    return load_encoder("dinov2" if name == "dinov2_registers" else name, folder, stride=STRIDE)


def mobile_sam() -> Encoder:
    """The real network with random weights, for a smaller square than the published one."""
    from models.encoders.mobile_sam import MobileSamEncoder, MobileSamNet

    torch.manual_seed(0)
    return MobileSamEncoder(MobileSamNet(), size=256, stride=STRIDE, weights_sha256="", standin=False)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Clips uint8 [*shape, 3] of random pixels."""
    return torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
