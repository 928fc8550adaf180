"""95% means 93 to 97%, for every kind of value that evaluations have; and the simulation sees an interval that lies."""

from dataclasses import replace

import pytest

from models.evaluation import coverage
from models.evaluation.coverage import KINDS, LEAST, MOST, Coverage, measure


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_holds_the_truth_with_few_clips(kind):
    (found,) = measure([kind], [20], trials=1000, resamples=400)
    low, high = found.uncertainty
    assert low <= MOST
    assert high >= LEAST
    assert found.share == pytest.approx(0.95, abs=0.03)


def test_an_interval_too_narrow_is_seen(monkeypatch):
    def narrow(values, *arguments, **settings):
        found = original(values, *arguments, **settings)
        half = (found.high - found.low) / 4
        return replace(found, low=found.value - half, high=found.value + half)

    original = coverage.bootstrap
    monkeypatch.setattr(coverage, "bootstrap", narrow)
    (found,) = measure(["lpips"], [32], trials=300, resamples=200)
    assert not found.holds
    assert found.share < 0.85


def test_a_share_is_told_with_its_own_uncertainty():
    one = Coverage("lpips", 20, 1000, below=20, above=40)
    assert one.share == pytest.approx(0.94)
    assert one.uncertainty[0] < 0.94 < one.uncertainty[1]
    assert one.holds
    assert not Coverage("lpips", 20, 1000, below=0, above=10).holds
