"""The contract of every frozen encoder: frames in, tokens with their places out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from models.frozen import Frozen
from models.pretrained import Checkpoint, locate
from models.provenance import Pin


@dataclass(frozen=True)
class Tokens:
    """What an encoder saw, and where.

    Attributes:
        tokens: float [B, T, N, D]; T counts the encoder's time steps, N its tokens a step.
        positions: float32 [B, T, N, 2], (x, y) of each token's centre in 0..1 of the original frame.
        mask: bool [B, T, N], True where the token is valid.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor


class Encoder(Frozen):
    """A frozen encoder of clips. What goes in and what comes out is checked here, once for all of them."""

    name: str
    dim: int

    def __init__(self, model: Any, *, weights_sha256: str, standin: bool):
        super().__init__()
        self.model = model
        self.weights_sha256, self.standin = weights_sha256, standin

    @classmethod
    def load(
        cls, weights: Path | str, *, sha256: Pin | None = None, dtype: torch.dtype = torch.float32, **settings: Any
    ) -> Self:
        """Load a folder of safetensors, or `org/name@COMMIT` of a hub.

        Args:
            sha256: the pinned hash of the weights, or of each file, if one is.
            dtype: of parameters and tokens.
            settings: what the encoder itself is made with, such as `stride`, the VAE's frames to a latent frame.

        Raises:
            WeightsError: the weights are not there, not those pinned, or another model's.
        """
        return cls.read(locate(weights, sha256), dtype, **settings)

    @classmethod
    def read(cls, checkpoint: Checkpoint, dtype: torch.dtype, **settings: Any) -> Self:
        """The encoder's own part of `load`."""
        raise TypeError(f"{cls.__name__} has no weights: it is the contract only")

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tokens:
        """Encode uint8 [B, T, H, W, 3], values 0..255.

        Raises:
            ValueError: no such clip, frames of a size that the encoder cannot place, or tokens that overflow.
        """
        require_clip(self.name, frames)
        made = self.encode(frames)
        require_finite(self.name, made.tokens)
        return made

    def encode(self, frames: Tensor) -> Tokens:
        """The encoder's own part of `forward`."""
        raise TypeError(f"{type(self).__name__} does not encode: it is the contract only")


class PatchEncoder(Encoder):
    """A vision transformer that sees each kept frame alone, cut into patches: one frame to each latent frame."""

    def __init__(self, model: Any, *, dim: int, patch: int, stride: int, weights_sha256: str, standin: bool):
        """`stride` is the VAE's frames to a latent frame."""
        super().__init__(model, weights_sha256=weights_sha256, standin=standin)
        self.dim, self.patch, self.stride = dim, patch, stride
        self.freeze()

    def encode(self, frames: Tensor) -> Tokens:
        """uint8 [B, T, H, W, 3] to tokens [B, (T - 1) // stride + 1, H/patch * W/patch, D]."""
        batch, _, height, width, _ = frames.shape
        require_multiple(self.name, height, width, self.patch)
        kept = frames[:, :: self.stride]
        patches = self.patch_tokens(kept.flatten(0, 1)).unflatten(0, (batch, kept.shape[1]))
        return on_grid(patches, height // self.patch, width // self.patch)

    def patch_tokens(self, frames: Tensor) -> Tensor:
        """uint8 [n, H, W, 3] to the patches' tokens in raster order: [n, H/patch * W/patch, D]."""
        raise TypeError(f"{type(self).__name__} has no patch tokens: it is the contract only")


def grid_positions(rows: int, columns: int) -> Tensor:
    """Centres (x, y) in 0..1 of a raster of rows x columns cells: float [rows * columns, 2]."""
    y = (torch.arange(rows) + 0.5) / rows
    x = (torch.arange(columns) + 0.5) / columns
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flip(-1).reshape(-1, 2)


def on_grid(tokens: Tensor, rows: int, columns: int) -> Tokens:
    """Tokens [B, T, rows * columns, D] in raster order, all valid, with their grid positions."""
    batch, time, count, _ = tokens.shape
    positions = grid_positions(rows, columns).to(tokens.device).expand(batch, time, -1, -1)
    return Tokens(tokens, positions, torch.ones(batch, time, count, dtype=torch.bool, device=tokens.device))


def require_clip(name: str, frames: Tensor) -> None:
    """Refuse what is no batch of clips.

    Raises:
        ValueError: not uint8 [B, T, H, W, 3], or without a clip or a frame.
    """
    if frames.dtype != torch.uint8 or frames.ndim != 5 or frames.shape[-1] != 3:
        found = f"{_named(frames.dtype)} {list(frames.shape)}"
        raise ValueError(f"{name}: clips are uint8 [B, T, H, W, 3], not {found}; give the frames as they were decoded")
    if not frames.numel():
        raise ValueError(f"{name}: clips of shape {list(frames.shape)} hold no frame; leave empty clips out at ingest")


def require_multiple(name: str, height: int, width: int, cell: int) -> None:
    """Refuse frames that the encoder would crop or pad, which would shift every position.

    Raises:
        ValueError: height or width is no positive multiple of `cell` pixels.
    """
    if height < cell or width < cell or height % cell or width % cell:
        raise ValueError(f"{name}: frames of {height}x{width} do not tile into {cell}x{cell} cells; resize at ingest")


def require_finite(name: str, tokens: Tensor) -> None:
    """Refuse tokens that overflowed: half precision ends at 65,504, and one infinity spoils a whole training.

    Raises:
        ValueError: a token is infinite or not a number.
    """
    finite = torch.isfinite(tokens)
    if not finite.all():
        clips = (~finite).flatten(1).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(
            f"{name}: tokens of clips {clips} of the batch are not finite in {_named(tokens.dtype)}; "
            "encode in bfloat16 or float32"
        )


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
