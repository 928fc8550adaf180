"""Verdicts: below the threshold's interval, above it, or within it and undecided."""

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.metric import Metric
from models.predict.calibration import Calibration, Roc
from models.predict.differences import Measure, mean
from models.predict.verify import VerificationError, judge, verify

LINE = Calibration(
    measure="pixels",
    threshold=10.0,
    low=8.0,
    high=12.0,
    auc=Metric(0.9, 0.8, 0.95, 32, ""),
    by_wrong={},
    roc=Roc(np.zeros(1), np.zeros(1), np.zeros(1)),
    choices={},
)


class Pixels:
    weights_sha256 = "none"

    def see(self, frames):
        return frames.astype(float)

    def apart(self, first, second):
        return np.abs(first - second).mean(-1)


PIXELS = Measure("pixels", Pixels(), mean, "mean difference of pixels", "")


@pytest.mark.parametrize(
    ("distance", "verdict"), [(7.9, "agrees"), (8.0, "uncertain"), (12.0, "uncertain"), (12.1, "differs")]
)
def test_a_verdict_needs_the_whole_interval_on_one_side(distance, verdict):
    assert judge(distance, LINE)[0] == verdict


@pytest.mark.parametrize("low", [0.5, 0.3, None])
def test_a_measure_that_does_not_tell_decides_nothing(low):
    blind = replace(LINE, auc=replace(LINE.auc, low=low))
    verdict, why = judge(0.0, blind)
    assert verdict == "uncertain"
    assert "chance" in why


def test_the_map_says_where():
    predicted = np.full((2, 4, 4, 3), 100, np.uint8)
    outcome = predicted.copy()
    outcome[1, 0, 0] = 0
    found = verify(predicted, outcome, PIXELS, LINE)
    assert found.verdict == "agrees"
    assert np.unravel_index(found.heat.argmax(), found.heat.shape) == (1, 0, 0)
    assert verify(predicted, np.zeros_like(predicted), PIXELS, LINE).verdict == "differs"


def test_another_measure_or_other_frames_are_refused():
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(VerificationError, match="calibrated by pixels"):
        verify(frames, frames, replace(PIXELS, name="other"), LINE)
    with pytest.raises(VerificationError):
        verify(frames, frames[:1], PIXELS, LINE)
