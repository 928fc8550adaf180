"""The encoders at their published sizes, as the checkpoints' own configurations give them, on the meta device: their
parameters can be counted without weights and without memory.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

Sizes: TypeAlias = dict[str, Any]
DINOV2: dict[str, Sizes] = {
    "small": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "giant": {"hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "use_swiglu_ffn": True},
}
QWEN_7B_TEXT: Sizes = {
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
}
QWEN_VISION: Sizes = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 3584,
}
SAM_VIT_H: Sizes = {
    "hidden_size": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "global_attn_indexes": [7, 15, 23, 31],
}
SIGLIP_SO400M: Sizes = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}
MAE_LARGE: Sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
EVA_CLIP = "eva02_large_patch14_clip_336"


def on_meta(name: str) -> nn.Module:
    """A model of `NAMES` without memory behind its parameters.

    Raises:
        ValueError: no published size has this name.
    """
    if name not in BUILDERS:
        raise ValueError(f"no published encoder {name!r}; there are {', '.join(NAMES)}")
    with torch.device("meta"):
        return BUILDERS[name]()


def parameters(name: str) -> int:
    """How many parameters a published encoder has."""
    return sum(parameter.numel() for parameter in on_meta(name).parameters())


def _dinov2(size: str, registers: bool) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

        sizes: Sizes = {**DINOV2[size], "image_size": 518, "patch_size": 14}
        if registers:
            return Dinov2WithRegistersModel(Dinov2WithRegistersConfig(num_register_tokens=4, **sizes))
        return Dinov2Model(Dinov2Config(**sizes))

    return build


def _qwen() -> nn.Module:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = Qwen2_5_VLConfig(text_config=QWEN_7B_TEXT, vision_config=QWEN_VISION, tie_word_embeddings=False)
    return Qwen2_5_VLForConditionalGeneration(config)


def _qwen_premerge() -> nn.Module:
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

    return Qwen2_5_VisionTransformerPretrainedModel(Qwen2_5_VLVisionConfig(**QWEN_VISION))


def _sam() -> nn.Module:
    from transformers import SamVisionConfig, SamVisionModel

    return SamVisionModel(SamVisionConfig(**SAM_VIT_H))


def _mobile_sam() -> nn.Module:
    from models.encoders.mobile_sam import MobileSamNet

    return MobileSamNet()


def _siglip() -> nn.Module:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    return SiglipVisionModel(SiglipVisionConfig(**SIGLIP_SO400M))


def _mae() -> nn.Module:
    from transformers import ViTMAEConfig, ViTMAEModel

    return ViTMAEModel(ViTMAEConfig(**MAE_LARGE))


def _eva_clip() -> nn.Module:
    import timm

    return timm.create_model(EVA_CLIP, num_classes=0)


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    **{f"dinov2-{size}": _dinov2(size, registers=False) for size in DINOV2},
    **{f"dinov2-with-registers-{size}": _dinov2(size, registers=True) for size in DINOV2},
    "qwen2.5-vl-7b": _qwen,
    "qwen2.5-vl-7b-vision": _qwen_premerge,
    "sam-vit-huge": _sam,
    "mobile-sam": _mobile_sam,
    "siglip-so400m": _siglip,
    "vit-mae-large": _mae,
    "eva02-clip-large": _eva_clip,
}
NAMES = tuple(BUILDERS)
