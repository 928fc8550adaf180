"""What predicted latents of a clip's future are worth, step by step: how near, where things are, which way they move.

A step is one latent frame. Semantic and spatial success are apart (§5.3): a prediction may know what happens and not
where, or where and not what.
"""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class DirectionReader:
    """Reads from a conditioning which way things move into each step that is foretold; chance is 1 of 4.

    A probe a step, on what the conditioning says of that latent frame and the one before, and on its semantic tokens.
    It is fitted on the conditionings of train clips, made by the same model from their context alone.
    """

    probes: dict[int, TemporalProbe]
    horizon: Horizon

    @classmethod
    def fit(cls, made: Conditionings, grid: tuple[int, int], directions: Directions, horizon: Horizon) -> Self:
        """On conditionings of train clips whose latent frames are `grid` cells.

        Raises:
            MetricInputError: the clips show fewer than two directions.
        """
        ahead = range(horizon.known, horizon.latent_frames)
        told = {k: direction_at(directions, horizon, k) for k in ahead}
        return cls({k: TemporalProbe.fit(_told(made, grid, k), told[k]) for k in ahead}, horizon)

    def read(self, made: Conditionings, grid: tuple[int, int], directions: Directions) -> tuple[np.ndarray, np.ndarray]:
        """Of held-out clips 1 where the direction is read rightly, 0 where not, and the mean over the readings of all
        other clips; NaN where there is no direction: two of [N, T' - known].
        """
        found = [
            probe.read(_told(made, grid, k), direction_at(directions, self.horizon, k))
            for k, probe in self.probes.items()
        ]
        return np.stack([one.direction for one in found], 1), np.stack([one.direction_null for one in found], 1)


def _told(made: Conditionings, grid: tuple[int, int], step: int) -> np.ndarray:
    """What is said of a latent frame and the one before, pooled over space, beside the semantic tokens: [N, 1, D]."""
    hidden = made.hidden[:, step - 1 : step + 1]
    places = np.broadcast_to(grid_positions(*grid).numpy(), (2, hidden.shape[2], 2))
    where, what = pool(hidden, places), made.semantic
    return np.concatenate([where.reshape(len(where), -1), what.reshape(len(what), -1)], axis=1)[:, None]
