"""The encoders and the fusion of Appendix D.1 with random weights: what they learned costs no time."""

import torch

from models.bench.setting import Setting, fresh
from models.encoders.base import Tokens
from models.encoders.dinov2 import Dinov2Encoder
from models.encoders.published import BUILDERS
from models.encoders.qwen import QwenEncoder
from models.fusion.base import Fusion
from models.fusion.build import build
from models.fusion.config import FusionConfig
from models.standins import dinov2 as small_dinov2
from models.standins import qwen as small_qwen
from models.standins import tokenizer as words

QWEN_PATCH = 14
NO_WEIGHTS = {"weights_sha256": "", "standin": False}


def dinov2(setting: Setting) -> Dinov2Encoder:
    """DINOv2-giant, one frame to each latent frame."""
    with fresh(setting.device, setting.dtype):
        model = BUILDERS["dinov2-giant"]() if setting.size == "true" else small_dinov2.build()
    return Dinov2Encoder(model, stride=setting.temporal, **NO_WEIGHTS)


def qwen(setting: Setting) -> QwenEncoder:
    """Qwen2.5-VL-7B with the stand-in's tokenizer, whose prompt is a few words shorter than the 1,000 video tokens."""
    if setting.size == "small":
        processor = small_qwen.build_processor()
        with fresh(setting.device, setting.dtype):
            model = small_qwen.build(processor)
        return QwenEncoder(model, processor, **NO_WEIGHTS)
    processor = small_qwen.build_processor(QWEN_PATCH)
    with fresh(setting.device, setting.dtype):
        model = BUILDERS["qwen2.5-vl-7b"]()
    for name, token in zip(("vision_start", "vision_end", "image", "video"), words.VISION, strict=True):
        setattr(model.config, f"{name}_token_id", processor.tokenizer.convert_tokens_to_ids(token))
    return QwenEncoder(model, processor, **NO_WEIGHTS)


def fusion_config(setting: Setting, where: Tokens, what: Tokens) -> FusionConfig:
    """The setting's fusion between these two encoders and the decoder."""
    cells = setting.side // setting.spatial
    return FusionConfig(
        spatial_dim=where.tokens.shape[-1],
        semantic_dim=what.tokens.shape[-1],
        latent_channels=setting.channels,
        caption_channels=setting.caption_channels,
        latent_frames=where.tokens.shape[1],
        latent_grid=(cells, cells),
        spatial_grid=_square(where),
        semantic_grid=_square(what),
        semantic_frames=what.tokens.shape[1],
        **setting.fusion,
    )


def fusion(setting: Setting, config: FusionConfig) -> Fusion:
    """The fusion in evaluation mode, float32 as it is trained."""
    with fresh(setting.device, torch.float32):
        return build(config).eval()


def _square(tokens: Tokens) -> tuple[int, int]:
    side = round(tokens.tokens.shape[2] ** 0.5)
    return side, side
