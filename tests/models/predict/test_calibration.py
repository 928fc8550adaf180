"""The line between agreeing and differing, on distances whose answer is known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from models.data.moving_shapes import render_clip
from models.predict.calibration import (
    CalibrationError,
    Distances,
    area,
    calibrate,
    distances,
    furthest,
    roc,
    wrong_outcomes,
)
from models.predict.differences import Measure, mean

RNG = np.random.default_rng(0)


def drawn(count: int, apart: float, seed: int = 0) -> Distances:
    rng = np.random.default_rng(seed)
    return Distances(rng.normal(0, 1, count), {kind: rng.normal(apart, 1, count) for kind in ("another", "shift")})


def test_the_curve_and_its_area_are_sklearns():
    right, wrong = np.round(RNG.normal(0, 1, 40), 1), np.round(RNG.normal(1, 1, 60), 1)
    labels, values = np.r_[np.zeros(40), np.ones(60)], np.r_[right, wrong]
    assert area(right, wrong) == pytest.approx(roc_auc_score(labels, values))
    false, true, thresholds = roc_curve(labels, values, drop_intermediate=False)
    mine = roc(right, wrong)
    np.testing.assert_allclose(mine.thresholds, thresholds[1:])
    np.testing.assert_allclose(mine.true, true[1:])
    np.testing.assert_allclose(mine.false, false[1:])


def test_the_threshold_lies_between_what_is_apart():
    assert furthest(np.array([0.1, 0.2, 0.3]), np.array([0.7, 0.9])) == pytest.approx(0.5)


def test_the_measure_that_tells_is_chosen_and_judged_on_other_clips():
    found = {"blind": drawn(64, 0), "sees": drawn(64, 3, seed=1)}
    made = calibrate(found)
    assert made.measure == "sees"
    assert made.tells
    assert made.low <= made.threshold <= made.high
    assert 0.5 < made.threshold < 2.5
    assert made.auc.n == 32
    assert set(made.by_wrong) == {"another", "shift"}
    assert made.choices["sees"] != made.auc.value


def test_a_measure_that_is_no_better_than_chance_does_not_tell():
    assert not calibrate({"blind": drawn(64, 0)}).tells


def test_more_clips_make_the_line_sharper():
    few, many = (calibrate({"one": drawn(count, 2, seed=3)}) for count in (32, 1024))
    assert many.high - many.low < few.high - few.low


def test_too_few_clips_are_refused():
    with pytest.raises(CalibrationError, match="15 held-out clips; 16"):
        calibrate({"one": drawn(15, 2)})


def test_wrong_outcomes_are_futures_that_did_not_come():
    clips = [render_clip(seed) for seed in range(3)]
    frames, masks = (np.stack([getattr(clip, name) for clip in clips]) for name in ("frames", "masks"))
    made = wrong_outcomes(frames, 7, masks)
    assert set(made) == {"another", "shift", "still", "recolour", "removed"}
    for kind, wrong in made.items():
        assert wrong.shape == (3, 2, 64, 64, 3), kind
        assert not any(np.array_equal(*pair) for pair in zip(wrong, frames[:, 7:], strict=True)), kind
    assert np.array_equal(made["still"][:, 1], frames[:, 6])
    assert "removed" not in wrong_outcomes(frames, 7)


class Counting:
    """Pixel difference; counts what it is shown."""

    weights_sha256 = "none"

    def __init__(self) -> None:
        self.looked = 0

    def see(self, frames: np.ndarray) -> np.ndarray:
        self.looked += 1
        return frames.astype(float)

    def apart(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.abs(first - second).mean(-1)


def test_a_network_sees_each_prediction_and_each_outcome_once_whatever_measures_it_gives():
    differ, clips = Counting(), RNG.integers(0, 256, (4, 2, 8, 8, 3), dtype=np.uint8)
    both = [Measure("mean", differ, mean, "", ""), Measure("max", differ, lambda maps: float(maps.max()), "", "")]
    found = distances(both, clips, clips, {"another": clips[::-1]})
    assert differ.looked == 4 * 3
    assert not found["mean"].right.any()
    assert (found["max"].wrong["another"] >= found["mean"].wrong["another"]).all()
