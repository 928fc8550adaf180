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
    """Reads from latents which way things move into each step: a probe on two neighbouring latent frames.

    It is fitted on true latents of train clips, and read on predicted ones of held-out clips; chance is 1 of 4.
    """

    probes: dict[int, TemporalProbe]
    horizon: Horizon

    @classmethod
    def fit(cls, latents: np.ndarray, directions: Directions, horizon: Horizon) -> Self:
        """On true latents [N, C, T', h, w] of train clips.

        Raises:
            MetricInputError: the clips show fewer than two directions.
        """
        ahead = range(horizon.known, horizon.latent_frames)
        return cls(
            {k: TemporalProbe.fit(_moves(latents, k), direction_at(directions, horizon, k)) for k in ahead}, horizon
        )

    def right(self, latents: np.ndarray, directions: Directions) -> np.ndarray:
        """1 where the direction is read rightly, 0 where not, NaN where there is none: [N, T' - known]."""
        found = [
            probe.read(_moves(latents, k), direction_at(directions, self.horizon, k)).direction
            for k, probe in self.probes.items()
        ]
        return np.stack(found, axis=1)


def _moves(latents: np.ndarray, step: int) -> np.ndarray:
    """The latent frame before a step, and the step's, pooled with first moments in x and y: [N, 2, 3C]."""
    pair = latents[:, :, step - 1 : step + 1].transpose(0, 2, 3, 4, 1)
    tokens = pair.reshape(*pair.shape[:2], -1, pair.shape[-1])
    places = np.broadcast_to(grid_positions(*pair.shape[2:4]).numpy(), (2, tokens.shape[2], 2))
    return pool(tokens, places)
