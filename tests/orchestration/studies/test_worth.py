"""What to run first: a coin tells one bit, what is nearly known tells little, and dear runs come last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.documents import MetricValue
from orchestration.studies.worth import WIDENED, entropy, holds, ranked, worth
from tests.orchestration.studies.test_rule import rule, value


@given(st.floats(0, 1))
def test_entropy_is_that_of_a_coin_at_most_and_the_same_of_both_sides(probability):
    assert 0 <= entropy(probability) <= 1
    assert entropy(probability) == pytest.approx(entropy(1 - probability), abs=1e-9)


def test_a_claim_that_was_not_measured_is_a_coin():
    assert holds(rule(above=0), None) == 0.5
    assert holds(rule(above=0), MetricValue(value=3.0, low=None, high=None, n=1, protocol="")) == 0.5


def test_a_stand_ins_interval_is_believed_less_than_its_clips_say():
    near, far = value(0.9, 1.1), value(9.9, 10.1)
    assert 0.5 < holds(rule(above=0), near) < holds(rule(above=0), far)
    assert holds(rule(below=0), near) == pytest.approx(1 - holds(rule(above=0), near))
    assert holds(rule(above=0), value(0.02, 2 * WIDENED)) == pytest.approx(0.65, abs=0.02)


def test_more_bits_for_a_dollar_come_first():
    coin, known = rule(above=0), {"v": value(99, 101)}
    dear = worth("dear", [coin], {}, 100.0)
    cheap = worth("cheap", [coin], {}, 10.0)
    told = worth("told", [coin], known, 10.0)
    assert [one.experiment for one in ranked([dear, told, cheap])] == ["cheap", "dear", "told"]
    assert (cheap.bits, cheap.measured, told.measured) == (1.0, False, True)
