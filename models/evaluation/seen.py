"""What a look at single frames gave, by the frames' content: a frame that was seen is not looked at again.

Baselines repeat frames (a copied last frame is a true frame, shuffled clips are an arm's own), and networks are slow.
"""

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Look = Callable[[np.ndarray], list[Tensor]]
"""Frames uint8 [F, H, W, 3] to one tensor a layer, [F, ...]."""


class Seen:
    """A look at frames that remembers. What does not fit into `most_bytes` is looked at again when it comes again."""

    def __init__(self, look: Look, most_bytes: int):
        self._look, self._most_bytes = look, most_bytes
        self._kept: dict[bytes, tuple[Tensor, ...]] = {}
        self._kept_bytes = 0
        self.given = 0
        """Frames that were asked for."""
        self.looked = 0
        """Frames that were looked at."""

    def __call__(self, frames: np.ndarray) -> list[Tensor]:
        """As the look itself, of frames of one size."""
        keys = [hashlib.blake2b(frame.tobytes(), digest_size=16).digest() for frame in frames]
        new: dict[bytes, int] = {}
        for place, key in enumerate(keys):
            if key not in self._kept:
                new.setdefault(key, place)
        made: dict[bytes, tuple[Tensor, ...]] = {}
        if new:
            made = dict(zip(new, zip(*self._look(frames[list(new.values())]), strict=True), strict=True))
        self.given += len(frames)
        self.looked += len(new)
        rows = [made.get(key) or self._kept[key] for key in keys]
        self._keep(made)
        return [torch.stack(layer) for layer in zip(*rows, strict=True)]

    def _keep(self, made: dict[bytes, tuple[Tensor, ...]]) -> None:
        size = sum(row.numel() * row.element_size() for rows in made.values() for row in rows)
        if self._kept_bytes + size <= self._most_bytes:
            self._kept |= made
            self._kept_bytes += size
