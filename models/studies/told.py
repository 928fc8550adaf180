"""What a conditioning tells of when: Phase 2's temporal probe (§6.2), read as errors: less is better."""

import numpy as np

from models.encoders.base import grid_positions
from models.evaluation.order import Directions
from models.evaluation.probes import TemporalProbe, pool
from models.training.reconstruct import Conditionings


def temporal_errors(
    train: Conditionings,
    heldout: Conditionings,
    grid: tuple[int, int],
    directions: tuple[Directions, Directions],
) -> dict[str, np.ndarray]:
    """Of a probe fitted on the train clips and read on the held-out ones: 1 where it is wrong, 0 where right.

    Args:
        grid: (h, w) of a latent frame.
        directions: of the train and of the held-out clips.

    Returns:
        `misdirected` and `misordered`, each [N]; NaN where a clip shows no direction, or no two that differ.

    Raises:
        MetricInputError: the train clips show fewer than two directions.
    """
    probe = TemporalProbe.fit(_pooled(train, grid), directions[0])
    read = probe.read(_pooled(heldout, grid), directions[1])
    return {"misdirected": 1 - read.direction, "misordered": 1 - read.ordering}


def _pooled(seen: Conditionings, grid: tuple[int, int]) -> np.ndarray:
    """All that the conditioning says, pooled over space: [N, 1, D]."""
    places = np.broadcast_to(grid_positions(*grid).numpy(), (seen.hidden.shape[1], grid[0] * grid[1], 2))
    where, what = pool(seen.hidden, places), seen.semantic
    return np.concatenate([where.reshape(len(where), -1), what.reshape(len(what), -1)], axis=1)[:, None]
