"""SAM's image encoder (Kirillov et al. 2023, arXiv:2304.02643; §1.2 and Appendix B.1), before its neck or after it.

SAM wants a square of 1024: a frame is enlarged until its longer side fits and padded below or at the right, as SAM was
trained. Positions stay those of the original frame; cells that show nothing but padding are masked.
"""

from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional
from transformers import SamVisionModel

from models.encoders.base import Encoder, Tokens
from models.encoders.checkpoint import load_model
from models.encoders.pixels import normalise
from models.pretrained import Checkpoint


def fitted(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of a frame whose longer side has become `size` pixels."""
    scale = size / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def squared(frames: Tensor, size: int) -> Tensor:
    """uint8 [n, H, W, 3] to normalised float32 [n, 3, size, size]; the padding is 0, the mean colour."""
    pixels = normalise(frames)
    height, width = fitted(frames.shape[1], frames.shape[2], size)
    pixels = functional.interpolate(pixels, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return functional.pad(pixels, (0, size - width, 0, size - height))


def cells_of(height: int, width: int, size: int, patch: int) -> tuple[Tensor, Tensor]:
    """Where the cells of the padded square lie in a frame of height x width, and which of them show any of it.

    A cell that the frame's edge cuts has the centre of its visible part.

    Returns:
        positions float32 [cells, 2] as (x, y) in 0..1, and mask bool [cells].
    """
    along = []
    for content in fitted(height, width, size):
        edges = (torch.arange(size // patch + 1) * patch).clamp(max=content)
        along.append(((edges[:-1] + edges[1:]) / (2 * content), edges[:-1] < content))
    (y, shown_y), (x, shown_x) = along
    positions = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flip(-1).reshape(-1, 2)
    return positions, (shown_y[:, None] & shown_x).flatten()


class SquareEncoder(Encoder):
    """An encoder of the SAM family: a padded square in, a raster of cells out, one frame to each latent frame."""

    def __init__(self, model: Any, *, dim: int, size: int, patch: int, stride: int, weights_sha256: str, standin: bool):
        """`stride` is the VAE's frames to a latent frame."""
        super().__init__(model, weights_sha256=weights_sha256, standin=standin)
        self.dim, self.size, self.patch, self.stride = dim, size, patch, stride
        self.freeze()

    def encode(self, frames: Tensor) -> Tokens:
        """uint8 [B, T, H, W, 3] to tokens [B, (T - 1) // stride + 1, (size/patch)^2, D]; no side below a patch."""
        batch, _, height, width, _ = frames.shape
        if min(height, width) < self.patch:
            raise ValueError(f"{self.name}: frames of {height}x{width} are smaller than a patch of {self.patch} pixels")
        kept = frames[:, :: self.stride]
        # One frame at a time: at 1024 pixels the attention of one takes a gigabyte.
        cells = torch.cat([self.cell_tokens(squared(frame, self.size)) for frame in kept.flatten(0, 1).split(1)])
        tokens = cells.unflatten(0, (batch, kept.shape[1]))
        positions, mask = (
            x.to(tokens.device).expand(batch, kept.shape[1], *x.shape)
            for x in cells_of(height, width, self.size, self.patch)
        )
        return Tokens(tokens, positions, mask)

    def cell_tokens(self, pixels: Tensor) -> Tensor:
        """Normalised [n, 3, size, size] to the cells' tokens in raster order: [n, (size/patch)^2, D]."""
        raise TypeError(f"{type(self).__name__} has no cell tokens: it is the contract only")


class SamEncoder(SquareEncoder):
    """Tokens of the last layer (ViT-H: 1280 wide), or after the neck (256), as SAM's mask decoder reads them."""

    def __init__(self, model: Any, *, stride: int, weights_sha256: str, standin: bool, neck: bool = False):
        config = model.config
        super().__init__(
            model,
            dim=config.output_channels if neck else config.hidden_size,
            size=config.image_size,
            patch=config.patch_size,
            stride=stride,
            weights_sha256=weights_sha256,
            standin=standin,
        )
        self.name, self.neck = "SAM's neck" if neck else "SAM", neck

    @classmethod
    def read(cls, checkpoint: Checkpoint, dtype: torch.dtype, **settings: Any) -> Self:
        """The image encoder out of a folder of the whole model or of the encoder alone."""
        model = load_model(checkpoint, {"sam": SamVisionModel, "sam_vision_model": SamVisionModel}, dtype=dtype)
        return cls(model, **checkpoint.identity(), **settings)

    def cell_tokens(self, pixels: Tensor) -> Tensor:
        made = self.model(pixels.to(self.model.dtype), output_hidden_states=[-1])
        if self.neck:
            return made.last_hidden_state.flatten(2).transpose(1, 2)
        return made.hidden_states[-1].flatten(1, 2)
