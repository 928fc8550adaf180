"""How far a predicted frame is from what happened, cell by cell, by networks that trained nothing here (design §4.12).

The predictor learned from DINOv2's and Qwen's tokens, from the VAE's latents and, in Phases 1 and 2, from LPIPS on
AlexNet. A measure through any of them would find its own work good. What is left, with real weights: MobileSAM's image
encoder, distilled from SAM on photographs, and LPIPS on VGG16. The second has another backbone than the loss, but its
heads were fitted to the same human judgements: it is kin, and is named so.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.encoders.sam import cells_of, squared
from models.evaluation.lpips import Features, Lpips

CELL = 4
"""Pixels to a cell of LPIPS's maps."""
WORST = 0.1
"""Share of a frame's cells that `worst` means over."""


class CircularityError(ValueError):
    """A measure that had a part in the training of what it is to judge."""


class Differ(Protocol):
    """A network that compares frames."""

    @property
    def weights_sha256(self) -> str: ...

    def see(self, frames: np.ndarray, /) -> Any:
        """What the network makes of frames uint8 [F, H, W, 3]: seen once, compared with several."""
        ...

    def apart(self, first: Any, second: Any, /) -> np.ndarray:
        """Of frames that were seen, pair by pair -> float64 [F, rows, columns], 0 where equal."""
        ...


class MobileSamDiffer:
    """One minus the cosine of MobileSAM's image embeddings, cell by cell."""

    says = "1 - cosine of MobileSAM's image embeddings (256 wide, after the neck)"
    kin = ""

    def __init__(self, encoder) -> None:
        """`encoder` is a `MobileSamEncoder`; frames are enlarged fourfold, at most to SAM's own 1024 pixels."""
        self.encoder, self.weights_sha256 = encoder, encoder.weights_sha256

    def apart(self, first: Tensor, second: Tensor) -> np.ndarray:
        return (1 - functional.cosine_similarity(first, second, dim=-1)).clamp_min(0).double().numpy()

    @torch.no_grad()
    def see(self, frames: np.ndarray) -> Tensor:
        """[F, rows, columns, 256] of the cells that show the frame."""
        height, width = frames.shape[1:3]
        size, patch = min(self.encoder.size, 4 * max(height, width)), self.encoder.patch
        device = next(self.encoder.parameters()).device
        pixels = squared(torch.from_numpy(np.ascontiguousarray(frames)).to(device), size)
        tokens = torch.cat([self.encoder.cell_tokens(one).float().cpu() for one in pixels.split(1)])
        side, (_, shown) = size // patch, cells_of(height, width, size, patch)
        there = shown.view(side, side)
        return tokens.unflatten(1, (side, side))[:, : int(there[:, 0].sum()), : int(there[0].sum())]


class LpipsDiffer:
    """LPIPS on VGG16 before its mean over places, in cells of `CELL` pixels; the mean of the cells is LPIPS."""

    says = "LPIPS 0.1.4 v0.1, vgg, by place"
    kin = "its heads were fitted to the judgements that those of the training loss, on AlexNet, were fitted to"

    def __init__(self, model: Lpips) -> None:
        self.model, self.weights_sha256 = model, model.weights_sha256

    def see(self, frames: np.ndarray) -> list[Features]:
        """One entry a frame: VGG's layers at full size are large, so frames go through it one by one."""
        return [self.model.features(frame[None]) for frame in frames]

    @torch.no_grad()
    def apart(self, first: list[Features], second: list[Features]) -> np.ndarray:
        heads = [head.model[-1].weight.flatten() for head in self.model.model.lins]
        return np.concatenate([_map(*pair, heads) for pair in zip(first, second, strict=True)])


def _map(first: Features, second: Features, heads: list[Tensor]) -> np.ndarray:
    """Of one frame; the first layer has its size, and a cell is the mean or the part of a layer's pixel."""
    size = [side // CELL for side in first[0].shape[2:]]
    layers = [
        torch.einsum("bchw,c->bhw", (a - b).square(), head)[:, None]
        for a, b, head in zip(first, second, heads, strict=True)
    ]
    cells = torch.stack([functional.interpolate(layer, size, mode="area") for layer in layers]).sum(0)
    return cells[:, 0].double().numpy()


Pool = Callable[[np.ndarray], float]


def mean(maps: np.ndarray) -> float:
    """Of a clip's maps [F, rows, columns], over places and frames."""
    return float(maps.mean())


def worst(maps: np.ndarray) -> float:
    """Over the tenth of each frame's cells that differ most: a small thing in a large still picture counts."""
    cells = np.sort(maps.reshape(len(maps), -1), axis=1)
    return float(cells[:, -max(1, round(WORST * cells.shape[1])) :].mean())


POOLS: dict[str, Pool] = {"mean": mean, "worst": worst}


@dataclass(frozen=True)
class Measure:
    """A network's maps, and how those of a clip become one distance."""

    name: str
    differ: Differ
    pool: Pool
    says: str
    kin: str
    """How it is related to what trained, where it is."""


def measures(differs: dict[str, MobileSamDiffer | LpipsDiffer]) -> list[Measure]:
    """Every network with every pool."""
    words = {"mean": "mean over cells and frames", "worst": f"mean of the {WORST:.0%} of cells that differ most"}
    return [
        Measure(f"{name}_{pool}", differ, of, f"{differ.says}; {words[pool]}", differ.kin)
        for name, differ in differs.items()
        for pool, of in POOLS.items()
    ]


def require_independent(differ: Differ, trained_with: Collection[str]) -> None:
    """Refuse a measure whose weights had a part in the training.

    Args:
        trained_with: sha256 of all that the predictor's training, and those that it started from, went through.

    Raises:
        CircularityError: they had.
    """
    if differ.weights_sha256 in trained_with:
        raise CircularityError(
            f"verification: the measure's weights {differ.weights_sha256[:12]} took part in the training of what they "
            "would judge; use a network that did not"
        )
