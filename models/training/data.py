"""Batches of cached features by clip id: tokens, latents, captions and, where pixels are compared, frames.

The stores behind it are memory-mapped; nothing is read but the clips of the batch.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from models.data.part import Part
from models.encoders.base import Tokens

Reader: TypeAlias = Callable[[Sequence[str]], np.ndarray]
"""Clip ids to their rows, [N, ...], in the order asked for."""


class DataError(ValueError):
    """Training data that lacks what a recipe needs."""


@dataclass(frozen=True)
class TokenSource:
    """One encoder's cached tokens."""

    read: Reader
    """[N, T', n, D]"""
    positions: np.ndarray
    """[T', n, 2], shared by all clips."""
    mask: Reader | None = None
    """bool [N, T', n]; without it every token is valid."""

    def tokens(self, ids: Sequence[str]) -> Tokens:
        values = torch.from_numpy(np.ascontiguousarray(self.read(ids))).float()
        positions = torch.from_numpy(np.asarray(self.positions, np.float32)).expand(len(ids), -1, -1, -1)
        if positions.shape[1:3] != values.shape[1:3]:
            raise DataError(f"tokens are {tuple(values.shape)} and their positions {tuple(self.positions.shape)}")
        mask = np.ones(values.shape[:3], bool) if self.mask is None else np.ascontiguousarray(self.mask(ids))
        return Tokens(values, positions, torch.from_numpy(mask))


@dataclass(frozen=True)
class TrainingData:
    """All that a recipe may read, by clip id."""

    ids: Sequence[str]
    """Clips to train on."""
    latents: Reader
    """[N, C, T', h, w], normalised."""
    spatial: TokenSource | None = None
    semantic: TokenSource | None = None
    captions: Reader | None = None
    """[N, S, caption_channels], S the fusion's semantic queries; see `pool`."""
    frames: Reader | None = None
    """uint8 [N, T, H, W, 3]"""
    held_out: Sequence[str] = ()
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Of the stores behind the readers: features of another encoder are another run."""

    def identity(self) -> dict[str, str]:
        """What a checkpoint remembers of its data."""
        return {"clips": hashlib.sha256("\n".join(self.ids).encode()).hexdigest(), **self.fingerprints}


@dataclass(frozen=True)
class Batch:
    """A batch in memory, or a worker's part of one; `frames` holds the first few clips only, in the steps that compare
    pixels.
    """

    ids: Sequence[str]
    latents: Tensor
    spatial: Tokens | None = None
    semantic: Tokens | None = None
    captions: Tensor | None = None
    frames: Tensor | None = None
    part: Part | None = None
    """Which clips of the batch these are, where workers share it."""
    decoded: Part | None = None
    """The same of the clips that this step decodes."""
    caption_square: Tensor | None = None
    """Mean square of the captions of the whole batch, where workers share it."""

    @property
    def clips(self) -> int:
        """Of the whole batch."""
        return len(self.ids) if self.part is None else self.part.clips

    @property
    def share(self) -> float:
        """By this a mean over these clips counts in the mean over the batch; 1 where they are all."""
        return 1.0 if self.part is None else self.part.share

    def own(self, rows: Tensor) -> Tensor:
        """Of rows of the whole batch, those of these clips."""
        return rows if self.part is None else self.part.own(rows)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name: `latents`, `captions`, `frames`, and `spatial.tokens`, `.positions`, `.mask`."""
        streams = {"spatial": self.spatial, "semantic": self.semantic}
        named = {"latents": self.latents, "captions": self.captions, "frames": self.frames}
        named |= {f"{name}.{part}": x for name, tokens in streams.items() if tokens for part, x in vars(tokens).items()}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def to(self, device: torch.device) -> "Batch":
        if device.type == "cpu":
            return self
        spatial, semantic = (None if t is None else tokens_to(t, device) for t in (self.spatial, self.semantic))
        captions, frames, square = (
            None if x is None else x.to(device, non_blocking=True)
            for x in (self.captions, self.frames, self.caption_square)
        )
        latents = self.latents.to(device, non_blocking=True)
        return Batch(self.ids, latents, spatial, semantic, captions, frames, self.part, self.decoded, square)


def read_batch(
    data: TrainingData,
    ids: Sequence[str],
    *,
    arm: str,
    captions: bool = False,
    frames: int = 0,
    part: Part | None = None,
) -> Batch:
    """Read what an arm needs of the clips, and the frames of the first `frames` of them; of a part, its clips alone.

    Raises:
        DataError: the data has no such stream, captions or frames.
    """
    spatial, semantic = sources(data, arm)
    if (captions and data.captions is None) or (frames and data.frames is None):
        raise DataError("training data: captions or frames are needed and not given; give their reader")
    own = ids if part is None else part.own(list(ids))
    decoded = part.first(frames) if part and frames else None
    seen = own[: frames if decoded is None else decoded.count]
    said = _floats(data.captions(ids)) if captions and data.captions else None  # of all: they are small
    return Batch(
        ids=own,
        latents=_floats(data.latents(own)),
        spatial=None if spatial is None else spatial.tokens(own),
        semantic=None if semantic is None else semantic.tokens(own),
        captions=said if said is None or part is None else part.own(said),
        frames=torch.from_numpy(np.ascontiguousarray(data.frames(seen))) if seen and data.frames else None,
        part=part,
        decoded=decoded,
        caption_square=None if said is None or part is None else said.square().mean(),
    )


ARMS = ("hybrid", "vlm_only", "dino_only")


def sources(data: TrainingData, arm: str) -> tuple[TokenSource | None, TokenSource | None]:
    """The spatial and the semantic source that an arm sees; the fusion puts its null in place of the other.

    Raises:
        DataError: no such arm, or the data lacks its stream.
    """
    if arm not in ARMS:
        raise DataError(f"no arm {arm!r}; one of {', '.join(ARMS)}")
    spatial = None if arm == "vlm_only" else data.spatial
    semantic = None if arm == "dino_only" else data.semantic
    if (arm != "vlm_only" and spatial is None) or (arm != "dino_only" and semantic is None):
        raise DataError(f"arm {arm}: its tokens are not in the data; extract the encoder's features first")
    return spatial, semantic


def pool(embeddings: np.ndarray, mask: np.ndarray, count: int) -> np.ndarray:
    """Caption embeddings [N, L, D] and mask [N, L] as `count` tokens [N, count, D]: means of equal runs.

    Only valid tokens count. A caption of fewer tokens than `count` repeats its own, so that none is invented.
    """
    pooled = np.empty((len(embeddings), count, embeddings.shape[2]), np.float32)
    for row, (tokens, valid) in enumerate(zip(embeddings, mask.astype(bool), strict=True)):
        tokens = tokens[valid]
        if not len(tokens):
            raise DataError(f"caption {row} has no token; caption the clip again")
        edges = np.linspace(0, len(tokens), count + 1)
        low = np.minimum(np.floor(edges[:-1]).astype(int), len(tokens) - 1)
        high = np.maximum(np.floor(edges[1:]).astype(int), low + 1)
        pooled[row] = [tokens[a:b].mean(0) for a, b in zip(low, high, strict=True)]
    return pooled


def _floats(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()


def tokens_to(tokens: Tokens, device: torch.device) -> Tokens:
    """The tokens on a device."""
    parts = (x.to(device, non_blocking=True) for x in (tokens.tokens, tokens.positions, tokens.mask))
    return Tokens(*parts)
