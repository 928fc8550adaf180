"""What changes in time without a cause: of frames and of tokens, where the true clip stands still (§5.2, Q3).

Protocol, in grey levels of 255: a place is still where no channel of the true clip changes by more than `levels`
between any two consecutive frames, here and `margin` pixels around. Flicker is the mean absolute change of still places
between consecutive frames. A frozen clip has none, so motion, the same of all other places, stands beside it; the
dynamic degree of the whole frame would count flicker as motion. dtSSD (Erofeev et al. 2015, of video matting) is the
root mean square difference of the change in time of generated and true clip: change that true motion does not explain.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion

from models.evaluation.inputs import MetricInputError, check_clips, check_pair

LEAST = 0.05
"""Share of a clip's places, or cells, that a value needs."""


@dataclass(frozen=True)
class Still:
    """When a place of a true clip is still."""

    levels: int
    margin: int

    def places(self, true: np.ndarray) -> np.ndarray:
        """Of clips uint8 [N, T, H, W, 3] -> bool [N, H, W]."""
        check_clips(true, "still places")
        most = _most(true)
        around = np.ones((2 * self.margin + 1,) * 2, bool)
        return np.stack([binary_erosion(one <= self.levels, around, border_value=1) for one in most])


def change(frames: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Flicker of still places, or motion of the others: mean absolute change between consecutive frames, in levels.

    Args:
        frames: clips uint8 [N, T, H, W, 3].
        places: bool [N, H, W].

    Returns:
        float64 [N, T-1], NaN where a clip has too few such places.
    """
    check_clips(frames, "change in time")
    if places.shape != (len(frames), *frames.shape[2:4]):
        raise MetricInputError(f"change in time: places {places.shape} do not fit clips {frames.shape}")
    made = np.full((len(frames), frames.shape[1] - 1), np.nan)
    for row, clip, some in zip(made, frames, places, strict=True):
        if some.mean() >= LEAST:
            row[:] = np.abs(np.diff(clip[:, some].astype(np.int16), axis=0)).mean((1, 2))
    return made


def dtssd(true: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Of clips uint8 [N, T, H, W, 3] -> float64 [N] in levels, mean over steps; 0 where both change alike."""
    check_pair(true, made)
    pairs = zip(true, made, strict=True)
    errors = (np.diff(b.astype(np.int16) - a, axis=0).astype(np.float64) for a, b in pairs)
    return np.array([np.sqrt(np.square(error).mean((1, 2, 3))).mean() for error in errors])


@dataclass(frozen=True)
class TokenChange:
    """Of N clips, float64 [N]; 1 is what two tokens drawn at random differ by, or, of `flicker`, what noise scores."""

    still: np.ndarray
    """Squared change between consecutive steps, in still cells."""
    moving: np.ndarray
    """The same in all other cells."""
    flicker: np.ndarray
    """Squared second difference in still cells: change that goes back and forth. A steady drift scores 0."""


def token_change(tokens: np.ndarray, still: np.ndarray) -> TokenChange:
    """How stored tokens change in time.

    Args:
        tokens: [N, T', n, D] of a square grid of n cells.
        still: places [N, H, W]; a cell is still where all its places are. H and W are multiples of the grid's side.

    Raises:
        MetricInputError: the grid does not tile the places, or there are fewer than three steps.
    """
    clips, steps, count, _ = tokens.shape
    side, (height, width) = round(count**0.5), still.shape[1:]
    if side**2 != count or height % side or width % side or steps < 3:
        raise MetricInputError(
            f"tokens {tokens.shape} do not tile places {still.shape} in three steps or more; give a square grid of them"
        )
    cells = still.reshape(clips, side, height // side, side, width // side).all((2, 4)).reshape(clips, count)
    values = tokens.astype(np.float32)
    spread = float(values.reshape(-1, values.shape[-1]).var(0, dtype=np.float64).sum())
    first = np.square(np.diff(values, axis=1)).sum(-1).mean(1) / (2 * spread)
    second = np.square(np.diff(values, n=2, axis=1)).sum(-1).mean(1) / (6 * spread)
    return TokenChange(_mean(first, cells), _mean(first, ~cells), _mean(second, cells))


def _most(true: np.ndarray) -> np.ndarray:
    """The largest change of a place in time, [N, H, W]."""
    return np.stack([np.abs(np.diff(clip.astype(np.int16), axis=0)).max((0, 3)) for clip in true])


def _mean(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Over the chosen cells of each clip; NaN where they are too few."""
    return np.array(
        [row[some].mean() if some.mean() >= LEAST else np.nan for row, some in zip(values, cells, strict=True)],
        np.float64,
    )
