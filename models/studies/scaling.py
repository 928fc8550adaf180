"""A power law through held-out errors at several numbers of train clips, and where it meets a target (§5.4).

error(n) = floor + scale * n^-slope (Hestness et al. 2017, 4), fitted by least squares in errors; the interval is a
bootstrap over seeds and held-out clips, the same clips at every n.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

SLOPES = (0.05, 3.0)
"""Flatter ones cannot be told from a floor, steeper ones from a step."""


class ScalingError(ValueError):
    """Errors through which no curve can be laid."""


@dataclass(frozen=True)
class Curve:
    """floor + scale * n^-slope."""

    floor: float
    scale: float
    slope: float

    def at(self, clips: float) -> float:
        """The error at a number of clips."""
        return self.floor + self.scale * clips**-self.slope

    def needed(self, error: float) -> float:
        """The clips at which the error is reached; infinite where the floor lies above it."""
        if error <= self.floor:
            return float("inf")
        return max(1.0, (self.scale / (error - self.floor)) ** (1 / self.slope))


def fit(clips: np.ndarray, errors: np.ndarray) -> Curve:
    """Through mean errors at rising numbers of clips.

    Raises:
        ScalingError: fewer than three numbers of clips, or errors that no curve fits.
    """
    if len(set(clips.tolist())) < 3:
        raise ScalingError(f"a curve needs three numbers of clips, {sorted(set(clips.tolist()))} are given")
    fall = max(errors[0] - errors[-1], 1e-3)
    start = (max(errors.min() - fall / 2, 0.0), fall * clips[0] ** 0.5, 0.5)
    bounds = ((0.0, 0.0, SLOPES[0]), (max(errors.max(), 1e-6), np.inf, SLOPES[1]))
    try:
        found, _ = curve_fit(_law, clips, errors, p0=start, bounds=bounds, maxfev=5000)
    except (RuntimeError, ValueError, OptimizeWarning) as error:
        raise ScalingError(f"no power law fits errors {errors.round(4).tolist()}: {error}") from error
    return Curve(*map(float, found))


def fits(clips: list[int], errors: np.ndarray, resamples: int, seed: int) -> tuple[Curve, list[Curve]]:
    """The curve of errors [sizes, seeds, held-out clips], and those of its resamples that a curve fits.

    Clips on which any error is undefined are left out of all.

    Raises:
        ScalingError: no held-out clip is left, or no curve fits.
    """
    known = np.isfinite(errors).all((0, 1))
    if not known.any():
        raise ScalingError("no held-out clip is measured at every number of clips and with every seed")
    table, numbers = errors[:, :, known], np.array(clips, float)
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(resamples):
        seeds = rng.integers(0, table.shape[1], table.shape[1])
        chosen = rng.integers(0, table.shape[2], table.shape[2])
        try:
            drawn.append(fit(numbers, table[:, seeds][:, :, chosen].mean((1, 2))))
        except ScalingError:
            continue
    return fit(numbers, table.mean((1, 2))), drawn


def _law(clips: np.ndarray, floor: float, scale: float, slope: float) -> np.ndarray:
    return floor + scale * clips**-slope
