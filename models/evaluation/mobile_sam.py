"""MobileSAM whole, with its real weights: the mask of what a box encloses (Zhang et al. 2023, arXiv:2306.14289).

The image encoder is `models.encoders.mobile_sam`; prompt encoder and mask decoder are SAM's own (Kirillov et al. 2023,
arXiv:2304.02643), which transformers has. MobileSAM was distilled from SAM on photographs: no frame that this project
generated, and no clip of its own, was ever among them. One box gives one mask, the decoder's single-mask output.
"""

import re
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SamConfig, SamMaskDecoderConfig
from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPromptEncoder

from models.encoders import mobile_sam
from models.encoders.sam import fitted, squared
from models.frozen import Frozen
from models.provenance import WeightsError

SIZE = mobile_sam.SIZE
CELLS = SIZE // mobile_sam.PATCH
RENAMED = (
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (r"(hypernetworks_mlps\.\d|prediction_head)\.layers\.0\.", r"\1.proj_in."),
    (r"(hypernetworks_mlps\.\d|prediction_head)\.layers\.1\.", r"\1.layers.0."),
    (r"(hypernetworks_mlps\.\d|prediction_head)\.layers\.2\.", r"\1.proj_out."),
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
)
"""The published names, as transformers has them."""


class MobileSamMasks(nn.Module):
    """Normalised pixels [1, 3, 1024, 1024] and boxes [K, 4], xyxy in those pixels, to mask logits [K, 256, 256] and the
    IoU that the network expects of each mask [K].
    """

    def __init__(self) -> None:
        super().__init__()
        # SAM's own transformer has torch's default; the library's configuration a tenth of it.
        self.image_encoder = mobile_sam.MobileSamNet()
        self.prompt_encoder = SamPromptEncoder(SamConfig())
        self.mask_decoder = SamMaskDecoder(SamMaskDecoderConfig(layer_norm_eps=1e-5))

    def forward(self, pixels: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        sparse, dense = self.prompt_encoder(None, None, boxes[None], None)
        masks, expected = self.mask_decoder(self.image_encoder(pixels), self._places(), sparse, dense, False)
        return masks[0, :, 0], expected[0, :, 0]

    def _places(self) -> Tensor:
        """The code of each cell's centre: [1, 256, 64, 64]."""
        embedding = self.prompt_encoder.shared_embedding
        centres = (torch.arange(CELLS, device=embedding.positional_embedding.device) + 0.5) / CELLS
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        return embedding(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]


class MobileSam(Frozen):
    """The frozen network, from the weights cache or any folder that holds the published checkpoint as safetensors."""

    standin = False

    def __init__(self, model: MobileSamMasks, weights_sha256: str):
        super().__init__()
        self.model, self.weights_sha256 = model, weights_sha256
        self.freeze()

    @classmethod
    def load(cls, folder: Path, weights_sha256: str) -> Self:
        """Every tensor of the published checkpoint must be there.

        Raises:
            WeightsError: it lacks some, or they are another network's.
        """
        model = MobileSamMasks()
        try:
            model.load_state_dict(_published(folder))
        except (RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{folder}: holds no whole MobileSAM ({reason})") from error
        return cls(model, weights_sha256)

    @torch.no_grad()
    def masks(self, frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """What each box [K, 4] (xyxy in pixels) encloses in a frame uint8 [H, W, 3] -> bool [K, H, W]."""
        height, width = frame.shape[:2]
        if not len(boxes):
            return np.zeros((0, height, width), bool)
        device = next(self.parameters()).device
        pixels = squared(torch.from_numpy(np.ascontiguousarray(frame))[None].to(device), SIZE)
        shown = fitted(height, width, SIZE)
        scale = torch.tensor([shown[1] / width, shown[0] / height] * 2, dtype=torch.float32, device=device)
        logits, _ = self.model(pixels, torch.from_numpy(boxes).float().to(device) * scale)
        whole = _resized(logits[:, None], (SIZE, SIZE))[..., : shown[0], : shown[1]]
        return (_resized(whole, (height, width))[:, 0] > 0).cpu().numpy()


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


def _published(folder: Path) -> dict[str, Tensor]:
    """The checkpoint's tensors under this module's names."""
    found: dict[str, Any] = {
        f"{mobile_sam.PREFIX}{name}": tensor for name, tensor in mobile_sam.published(folder).items()
    }
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            if not name.startswith(mobile_sam.PREFIX):
                for published, ours in RENAMED:
                    name = re.sub(published, ours, name)
                found[name] = tensor
    return found
