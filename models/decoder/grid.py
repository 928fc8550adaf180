"""A clip's latents as LTX's transformer sees them: tokens of one patch each, and where and when each of them is."""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from models.decoder.vae import LatentGeometry


class GridError(ValueError):
    """Latents that the transformer's patches do not tile, or tokens that are not of its width."""


@dataclass(frozen=True)
class VideoGrid:
    """The latent shape of a clip, in latent frames, rows and columns, and the patches that it is cut into."""

    frames: int
    height: int
    width: int
    geometry: LatentGeometry
    fps: float = 8.0
    patch: tuple[int, int, int] = (1, 1, 1)
    """Latent frames, rows and columns to a token; a generator puts its transformer's here."""

    def __post_init__(self) -> None:
        self._require_tiles(self.shape)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns."""
        return self.frames, self.height, self.width

    @property
    def tokens(self) -> int:
        """How many tokens a clip has."""
        return prod(self.shape) // prod(self.patch)

    @property
    def channels(self) -> int:
        """Width of a token."""
        return self.geometry.channels * prod(self.patch)

    def pack(self, latents: Tensor) -> Tensor:
        """Latents [B, C, T', h, w] to tokens [B, L, channels], patches in raster order; T' may be a part of the clip.

        Raises:
            GridError: the patches do not tile the latents.
        """
        self._require_tiles(tuple(latents.shape[2:]))
        frames, rows, columns = self.patch
        cut = latents.unflatten(2, (-1, frames)).unflatten(4, (-1, rows)).unflatten(6, (-1, columns))
        return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4).flatten(1, 3)

    def unpack(self, tokens: Tensor) -> Tensor:
        """Tokens [B, L, channels] of the whole clip to latents [B, C, T', h, w]."""
        tiles = [length // step for length, step in zip(self.shape, self.patch, strict=True)]
        cut = tokens.unflatten(1, tiles).unflatten(4, (-1, *self.patch))
        return cut.permute(0, 4, 1, 5, 2, 6, 3, 7).flatten(6).flatten(4, 5).flatten(2, 3)

    def coordinates(self) -> Tensor:
        """float [3, L] of each patch's first cell: seconds, y and x in pixels, for LTX's rotary embedding.

        A causal VAE's first latent frame is one frame, so the others begin that much earlier.
        """
        steps = zip(self.shape, self.patch, strict=True)
        axes = (torch.arange(0, length, step, dtype=torch.float32) for length, step in steps)
        t, y, x = torch.meshgrid(*axes, indexing="ij")
        seconds = (t * self.geometry.temporal + 1 - self.geometry.temporal).clamp(min=0) / self.fps
        return torch.stack([seconds, y * self.geometry.spatial, x * self.geometry.spatial]).flatten(1)

    def _require_tiles(self, shape: tuple[int, ...]) -> None:
        if any(length % step for length, step in zip(shape, self.patch, strict=True)):
            raise GridError(
                f"latents of {'x'.join(map(str, shape))} (frames, rows, columns) are not tiled by the transformer's "
                f"patches of {'x'.join(map(str, self.patch))}; use clips of another size or length"
            )
