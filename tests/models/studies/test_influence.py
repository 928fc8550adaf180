"""Values of clips whose mean is a slope, an area or a gain, and whose spread is its standard error."""

import numpy as np
import pytest

from models.evaluation.metric import bootstrap
from models.predict.calibration import area as counted
from models.studies.influence import area, gain_of_keeping, slope

RNG = np.random.default_rng(1)


def test_the_mean_of_the_values_is_the_statistic():
    x = RNG.standard_normal(50)
    y = 0.3 * x + RNG.standard_normal(50)
    assert slope(x, y).mean() == pytest.approx(np.polyfit((x - x.mean()) / x.std(), y, 1)[0])
    distance = np.round(RNG.random(50), 1)  # with ties
    wrong = RNG.random(50) < 0.3
    assert area(distance, wrong).mean() == pytest.approx(counted(distance[~wrong], distance[wrong]))
    right, kept = RNG.random(50) < 0.4, np.arange(50) < 20
    assert gain_of_keeping(right, kept).mean() == pytest.approx(right[kept].mean() - right.mean())


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = {"slope": 0, "area": 0, "gain": 0}
    trials, clips = 300, 60
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        x = rng.standard_normal(clips)
        y = 0.5 * x + rng.standard_normal(clips) * (0.5 + np.abs(x))
        held["slope"] += _holds(slope(x, y), 0.5 * x.std())
        wrong = rng.random(clips) < 0.4
        held["area"] += _holds(area(rng.standard_normal(clips) + wrong, wrong), 0.7602)  # of normals one apart
        distance = rng.random(clips)
        right = rng.random(clips) < 0.8 - 0.6 * distance
        kept = np.zeros(clips, bool)
        kept[np.argsort(distance)[: clips // 2]] = True
        held["gain"] += _holds(gain_of_keeping(right, kept), 0.15)
    assert all(0.9 <= count / trials <= 0.99 for count in held.values()), held


def test_what_does_not_vary_and_what_has_one_kind_is_undefined():
    assert np.isnan(slope(np.ones(5), np.arange(5.0))).all()
    assert np.isnan(area(np.arange(4.0), np.zeros(4, bool))).all()
    assert np.isnan(gain_of_keeping(np.ones(3), np.zeros(3, bool))).all()


def test_a_clip_without_a_value_does_not_count():
    x, y = np.arange(6.0), np.array([0, 1, 2, np.nan, 4, 5.0])
    found = slope(x, y)
    assert np.isnan(found[3])
    assert np.nanmean(found) == pytest.approx(np.delete(x, 3).std())


def _holds(values: np.ndarray, truth: float) -> bool:
    found = bootstrap(values, resamples=400)
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high
