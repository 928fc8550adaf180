"""A forecast's interval holds the truth as often as it says, and what is not known is not said."""

import random

from hypothesis import given
from hypothesis import strategies as st

from orchestration.budget.forecast import Forecast, again, forecast


def test_a_steady_run_is_foreseen_exactly() -> None:
    ahead = forecast(1000, [(10, 36.0)] * 5)
    assert (ahead.hours, ahead.low, ahead.high) == (1.0, 1.0, 1.0)
    assert (ahead.fits(1.1), ahead.fits(0.9)) == ("yes", "no")


def test_too_little_measured_is_no_interval() -> None:
    assert forecast(10, []).hours is None
    assert forecast(3600, [(1, 1.0)]).hours == 1.0
    assert forecast(3600, [(1, 1.0), (1, 2.0)]).low is None
    assert forecast(3600, [(1, 1.0)]).fits(100) == "unclear"
    assert forecast(0, []).hours == 0


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(0.1, 100)), min_size=3, max_size=30), st.integers(1, 10_000))
def test_the_interval_holds_the_forecast(samples: list[tuple[int, float]], remaining: int) -> None:
    ahead = forecast(remaining, samples)
    assert ahead.low is not None
    assert ahead.high is not None
    assert ahead.hours is not None
    assert 0 <= ahead.low <= ahead.hours <= ahead.high


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    chance, held = random.Random(0), 0
    for _ in range(300):
        seconds = [chance.gauss(10, 2) for _ in range(30)]
        ahead = forecast(200, [(10, second) for second in seconds[:10]])
        assert ahead.low is not None
        assert ahead.high is not None
        held += ahead.low <= sum(seconds[10:]) / 3600 <= ahead.high
    assert 0.91 <= held / 300 <= 0.99


def test_one_after_the_other_takes_both():
    first, unknown = Forecast(2.0, 1.0, 3.0, 5), Forecast(None, None, None, 0)
    assert first.then(Forecast(1.0, 0.5, 1.5, 3)) == Forecast(3.0, 1.5, 4.5, 8)
    ahead = first.then(unknown)
    assert (ahead.hours, ahead.low, ahead.high) == (None, 1.0, None)
    assert (ahead.fits(0.9), ahead.fits(100)) == ("no", "unclear"), "what is not known takes at least no time"


def test_what_has_passed_is_no_longer_ahead():
    assert Forecast(2.0, 1.0, 3.0, 5).less(1.5) == Forecast(0.5, 0.0, 1.5, 5)
    assert Forecast(None, None, None, 0).less(1) == Forecast(None, None, None, 0)


def test_another_run_takes_what_those_before_took():
    assert again([]) == Forecast(None, None, None, 0)
    assert again([1.0, 3.0]) == Forecast(2.0, None, None, 2)
    assert again([2.0, 2.0, 2.0]) == Forecast(2.0, 2.0, 2.0, 3)


def test_the_interval_of_another_run_holds_about_as_often_as_it_says():
    chance, held = random.Random(0), 0
    for _ in range(400):
        past = [chance.gauss(10, 1) for _ in range(6)]
        ahead = again(past)
        assert ahead.low is not None
        assert ahead.high is not None
        held += ahead.low <= chance.gauss(10, 1) <= ahead.high
    assert 0.91 <= held / 400 <= 0.985
