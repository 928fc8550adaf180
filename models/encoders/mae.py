"""ViT-MAE: a spatial alternative trained to fill in pixels (He et al. 2021, arXiv:2111.06377; Appendix B.3).

In its training it drops patches and shuffles the rest. Here nothing is dropped, and ordered noise keeps the raster: the
library sorts patches by the noise, and shuffles them even at a mask ratio of 0 where none is given.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import ViTMAEModel

from models.encoders.pixels import normalise
from models.encoders.vit import VitEncoder


class MaeEncoder(VitEncoder):
    """Patch tokens of the last layer, all of them, in raster order."""

    name = "ViT-MAE"
    classes: ClassVar = {"vit_mae": ViTMAEModel}

    def __init__(self, model: Any, *, stride: int, weights_sha256: str, standin: bool):
        super().__init__(model, stride=stride, weights_sha256=weights_sha256, standin=standin)
        model.config.mask_ratio = 0.0

    def patch_tokens(self, frames: Tensor) -> Tensor:
        pixels = normalise(frames).to(self.model.dtype)
        count = (frames.shape[1] // self.patch) * (frames.shape[2] // self.patch)
        in_order = torch.arange(count, device=frames.device).expand(len(frames), -1)
        return self.model(pixels, noise=in_order, interpolate_pos_encoding=True).last_hidden_state[:, 1:]
