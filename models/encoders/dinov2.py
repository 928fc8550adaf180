"""DINOv2: the spatial stream (Oquab et al. 2023, arXiv:2304.07193; §1.2 of the proposal).

The library's image processor resizes to 256 and crops 224, which would shift every coordinate, so it is bypassed:
frames come in at the size that ingest made, a multiple of the patch.
"""

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from transformers import Dinov2Model

from models.encoders.base import Encoder, Tokens, on_grid, require_multiple
from models.provenance import folder_sha256, is_standin

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(frames: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] to ImageNet-normalised float [B, 3, H, W]."""
    mean, std = (torch.tensor(v, device=frames.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (frames.permute(0, 3, 1, 2).float() / 255 - mean) / std


class Dinov2Encoder(Encoder):
    """Patch tokens of the last layer, one frame to each latent frame of the decoder."""

    def __init__(self, model: Any, *, stride: int, weights_sha256: str, standin: bool):
        super().__init__()
        self.model, self.stride = model, stride
        self.weights_sha256, self.standin = weights_sha256, standin
        self.dim = model.config.hidden_size
        self.patch = model.config.patch_size
        self.freeze()

    @classmethod
    def load(cls, folder: Path, *, stride: int) -> Self:
        """Load a folder written by `save_pretrained`; `stride` is the VAE's frames to a latent frame."""
        model = Dinov2Model.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
        return cls(model, stride=stride, weights_sha256=folder_sha256(folder), standin=is_standin(folder))

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tokens:
        """uint8 [B, T, H, W, 3] to tokens [B, (T - 1) // stride + 1, H/patch * W/patch, D]."""
        batch, _, height, width, _ = frames.shape
        require_multiple("DINOv2", height, width, self.patch)
        kept = frames[:, :: self.stride]
        states = self.model(normalise(kept.flatten(0, 1)).to(self.model.dtype)).last_hidden_state
        patches = states[:, 1:].unflatten(0, (batch, kept.shape[1]))
        return on_grid(patches, height // self.patch, width // self.patch)
