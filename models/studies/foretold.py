"""What predicted latents of a clip's future are worth, step by step: how near, where things are, which way they move.

A step is one latent frame. Semantic and spatial success are apart (§5.3): a prediction may know what happens and not
where, or where and not what.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.encoders.base import grid_positions
from models.evaluation.iou import mask_iou
from models.evaluation.probes import TemporalProbe, pool
from models.training.horizon import Horizon
from models.training.reconstruct import Conditionings

Directions = Sequence[tuple[str, str] | None]


def step_errors(predicted: np.ndarray, true: np.ndarray, known: int) -> np.ndarray:
    """Mean squared error of each foretold latent frame of [N, C, T', h, w]: [N, T' - known]; 1 is the mean's."""
    return np.square(predicted[:, :, known:].astype(np.float64) - true[:, :, known:]).mean((1, 3, 4))


def step_frames(horizon: Horizon, step: int) -> slice:
    """The frames of latent frame `step`; the first latent frame is one frame."""
    return slice(0, 1) if step == 0 else slice(1 + (step - 1) * horizon.step, 1 + step * horizon.step)


def step_ious(made: np.ndarray, true: np.ndarray, horizon: Horizon) -> np.ndarray:
    """Spatial IoU of masks [N, T, H, W] over the frames of each foretold latent frame: [N, T' - known]."""
    ahead = range(horizon.known, horizon.latent_frames)
    shown = [step_frames(horizon, step) for step in ahead]
    return np.stack([mask_iou(true[:, some], made[:, some]) for some in shown], axis=1)


def direction_at(directions: Directions, horizon: Horizon, step: int) -> list[tuple[str, str] | None]:
    """Which way the clip's first shape moves into latent frame `step`, as a pair of one word; None where unknown.

    Clips turn in their middle: what ends by frame T // 2 shows the first direction, all else the second.
    """
    half = 0 if step_frames(horizon, step).stop - 1 <= horizon.frames // 2 else 1
    return [None if pair is None else (pair[half], pair[half]) for pair in directions]


def moves(latents: np.ndarray, horizon: Horizon) -> dict[int, np.ndarray]:
    """What latents [N, C, T', h, w] show of motion into each foretold latent frame, by step: [N, 1, 9C].

    Products of each cell's channels with those, one latent frame on, of the same cell and of its eight neighbours; the
    mean over cells. A linear probe on the values themselves cannot see motion: it lies in whose value goes where.
    """
    height, width = latents.shape[3:]
    shown = {}
    for step in range(horizon.known, horizon.latent_frames):
        before, after = latents[:, :, step - 1], np.pad(latents[:, :, step], ((0, 0), (0, 0), (1, 1), (1, 1)))
        products = [
            (before * after[:, :, y : y + height, x : x + width]).mean((2, 3)) for y in range(3) for x in range(3)
        ]
        shown[step] = np.concatenate(products, axis=1)[:, None]
    return shown


def told(made: Conditionings, grid: tuple[int, int], horizon: Horizon) -> dict[int, np.ndarray]:
    """What a conditioning of latent frames of `grid` cells holds, by foretold step: [N, 1, D].

    Its tokens of that latent frame and the one before, pooled over space, beside the semantic tokens.
    """
    held = {}
    for step in range(horizon.known, horizon.latent_frames):
        hidden = made.hidden[:, step - 1 : step + 1]
        places = np.broadcast_to(grid_positions(*grid).numpy(), (2, hidden.shape[2], 2))
        where, what = pool(hidden, places), made.semantic
        held[step] = np.concatenate([where.reshape(len(where), -1), what.reshape(len(what), -1)], axis=1)[:, None]
    return held


@dataclass(frozen=True)
class DirectionReader:
    """Reads which way things move into each step that is foretold, a probe a step; chance is 1 of 4."""

    probes: dict[int, TemporalProbe]
    horizon: Horizon

    @classmethod
    def fit(cls, shown: Mapping[int, np.ndarray], directions: Directions, horizon: Horizon) -> Self:
        """On what train clips show, by step, as `moves` or `told` gives it.

        Raises:
            MetricInputError: the clips show fewer than two directions.
        """
        return cls(
            {k: TemporalProbe.fit(seen, direction_at(directions, horizon, k)) for k, seen in shown.items()}, horizon
        )

    def read(self, shown: Mapping[int, np.ndarray], directions: Directions) -> tuple[np.ndarray, np.ndarray]:
        """Of held-out clips 1 where the direction is read rightly, 0 where not, and the mean over the readings of all
        other clips; NaN where there is no direction: two of [N, T' - known].
        """
        found = [probe.read(shown[k], direction_at(directions, self.horizon, k)) for k, probe in self.probes.items()]
        return np.stack([one.direction for one in found], 1), np.stack([one.direction_null for one in found], 1)
