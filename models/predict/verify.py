"""Did what was foretold come? (§1.5, C4): a verdict by a calibrated measure, and a map of where it did not."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.predict.calibration import Calibration
from models.predict.differences import Measure

Verdict = Literal["agrees", "differs", "uncertain"]


class VerificationError(ValueError):
    """A prediction and an outcome that cannot be held against each other."""


@dataclass(frozen=True)
class Verification:
    """Of one prediction."""

    verdict: Verdict
    why: str
    distance: float
    heat: np.ndarray
    """float64 [F, rows, columns] of the predicted frames, 0 where equal; in the measure's units."""


def verify(predicted: np.ndarray, outcome: np.ndarray, measure: Measure, calibration: Calibration) -> Verification:
    """Hold predicted frames against those that came, both uint8 [F, H, W, 3].

    Raises:
        VerificationError: other numbers of frames or sizes, or another measure than the calibrated one.
    """
    if predicted.shape != outcome.shape or measure.name != calibration.measure:
        raise VerificationError(
            f"verification: frames {list(predicted.shape)} by {measure.name} against {list(outcome.shape)} calibrated "
            f"by {calibration.measure}; give both alike"
        )
    heat = measure.differ.apart(measure.differ.see(predicted), measure.differ.see(outcome))
    distance = measure.pool(heat)
    verdict, why = judge(distance, calibration)
    return Verification(verdict, why, distance, heat)


def judge(distance: float, calibration: Calibration) -> tuple[Verdict, str]:
    """The verdict of a distance, and why: nothing is decided within the threshold's interval, nor by chance."""
    auc, line = calibration.auc, f"{calibration.low:.4g} .. {calibration.high:.4g}"
    if not calibration.tells:
        lowest = "no interval" if auc.low is None else f"from {auc.low:.3f}"
        return "uncertain", f"the measure tells right from wrong outcomes no better than chance ({lowest})"
    if distance < calibration.low:
        return "agrees", f"distance {distance:.4g} below the threshold's interval, {line}"
    if distance > calibration.high:
        return "differs", f"distance {distance:.4g} above the threshold's interval, {line}"
    return "uncertain", f"distance {distance:.4g} within the threshold's interval, {line}"
