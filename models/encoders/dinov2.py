"""DINOv2: the spatial stream (Oquab et al. 2023, arXiv:2304.07193; §1.2 of the proposal), of any size, with registers
(Darcet et al. 2023, arXiv:2309.16588) or without.

The library's image processor resizes to 256 and crops 224, which would shift every coordinate, so it is bypassed:
frames come in at the size that ingest made, a multiple of the patch.
"""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from transformers import Dinov2Model, Dinov2WithRegistersModel

from models.encoders.pixels import normalise
from models.encoders.vit import VitEncoder

QUARTERS = 4


class Dinov2Encoder(VitEncoder):
    """Patch tokens of the last layer, or the mean over four depths; one frame to each latent frame of the decoder.

    `multi` reads the ends of the four quarters of the depth, as DINOv2's own dense heads do, each through the final
    norm. Their mean, not their concatenation: D stays, so the ablation compares equal fusion modules and equal storage,
    and the values keep the range of a single layer. The last layer alone reconstructs worse (design §4.11).
    """

    name = "DINOv2"
    classes: ClassVar = {"dinov2": Dinov2Model, "dinov2_with_registers": Dinov2WithRegistersModel}

    def __init__(
        self, model: Any, *, stride: int, weights_sha256: str, standin: bool, layers: Literal["last", "multi"] = "last"
    ):
        super().__init__(model, stride=stride, weights_sha256=weights_sha256, standin=standin)
        self.prefix = 1 + getattr(model.config, "num_register_tokens", 0)
        depth = model.config.num_hidden_layers
        self.depths = [depth * (quarter + 1) // QUARTERS for quarter in range(QUARTERS)] if layers == "multi" else []

    def patch_tokens(self, frames: Tensor) -> Tensor:
        pixels = normalise(frames).to(self.model.dtype)
        if not self.depths:
            return self.model(pixels).last_hidden_state[:, self.prefix :]
        states = self.model(pixels, output_hidden_states=self.depths).hidden_states
        return torch.stack([self.model.layernorm(states[depth]) for depth in self.depths]).mean(dim=0)[:, self.prefix :]
