"""SigLIP-SO400M: the spatial alternative of §1.2 (Zhai et al. 2023, arXiv:2303.15343)."""

from typing import ClassVar

from torch import Tensor
from transformers import SiglipVisionModel

from models.encoders.pixels import normalise
from models.encoders.vit import VitEncoder

MEAN = STD = (0.5, 0.5, 0.5)


class SiglipEncoder(VitEncoder):
    """Patch tokens of the vision tower's last layer, before its pooling head; there is no class token."""

    name = "SigLIP"
    classes: ClassVar = {"siglip": SiglipVisionModel, "siglip_vision_model": SiglipVisionModel}

    def patch_tokens(self, frames: Tensor) -> Tensor:
        pixels = normalise(frames, MEAN, STD).to(self.model.dtype)
        return self.model(pixels, interpolate_pos_encoding=True).last_hidden_state
