"""EVA-CLIP's vision tower (Sun et al. 2023, arXiv:2303.15389; Appendix B.2), out of timm: transformers has none."""

from typing import Any, Self

import timm
import torch
from safetensors import SafetensorError
from timm.data import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.models import load_checkpoint
from timm.models.eva import checkpoint_filter_fn
from torch import Tensor

from models.encoders.base import PatchEncoder
from models.encoders.pixels import normalise
from models.pretrained import Checkpoint
from models.provenance import WeightsError


class EvaClipEncoder(PatchEncoder):
    """Patch tokens of the last layer, before the projection into the space shared with text."""

    name = "EVA-CLIP"

    def __init__(self, model: Any, *, stride: int, weights_sha256: str, standin: bool):
        super().__init__(
            model,
            dim=model.embed_dim,
            patch=model.patch_embed.patch_size[0],
            stride=stride,
            weights_sha256=weights_sha256,
            standin=standin,
        )

    @classmethod
    def read(cls, checkpoint: Checkpoint, dtype: torch.dtype, **settings: Any) -> Self:
        """Of a folder of a timm model: its `config.json` names the architecture."""
        return cls(_model(checkpoint).to(dtype), **checkpoint.identity(), **settings)

    def patch_tokens(self, frames: Tensor) -> Tensor:
        pixels = normalise(frames, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD).to(next(self.model.parameters()).dtype)
        return self.model.forward_features(pixels)[:, self.model.num_prefix_tokens :]


def _model(checkpoint: Checkpoint) -> Any:
    config = checkpoint.config()
    architecture = str(config.get("architecture"))
    if not (architecture.startswith("eva") and "_clip_" in architecture):
        raise WeightsError(f"{checkpoint.folder}: holds {architecture}, not an EVA-CLIP of timm; name another folder")
    file = sorted(checkpoint.folder.glob("*.safetensors"))[0]
    try:
        # Without its head, which projects the class token; with positions for frames of any size.
        settings = {**(config.get("model_args") or {}), "num_classes": 0, "dynamic_img_size": True}
        model = timm.create_model(architecture, **settings)
        lacking = load_checkpoint(model, str(file), strict=False, filter_fn=checkpoint_filter_fn).missing_keys
    except (RuntimeError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{file}: cannot be loaded as {architecture} ({reason}); fetch it again") from error
    if lacking:
        raise WeightsError(f"{file}: lacks {len(lacking)} parameters of {architecture}, {lacking[0]} first")
    return model
