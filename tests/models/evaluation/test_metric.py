"""Intervals: 95% means 95%, undefined clips do not count, and no doubt is hidden."""

import numpy as np
import pytest

from models.evaluation.metric import agresti_min, bootstrap, paired_difference, wilson


def test_no_mean_of_clips_lies_outside_their_values():
    """A studentised interval could: nine clips of ten at 1 would reach beyond what the metric can be."""
    metric = bootstrap(np.array([*9 * [1.0], 0.2]))
    assert metric.low < metric.value < metric.high <= 1
    skewed = bootstrap(np.array([0.001, 0.002, 0.001, 0.4]))
    assert skewed.low >= 0.001


def test_undefined_clips_do_not_count_and_the_seed_decides():
    values = np.array([0.1, np.nan, 0.2, 0.4, np.inf])
    metric = bootstrap(values, 3, "p")
    assert metric.n == 3
    assert metric.value == pytest.approx(0.7 / 3)
    assert metric.low < metric.value < metric.high
    assert metric == bootstrap(values, 3, "p")
    assert metric.document() == {"value": metric.value, "low": metric.low, "high": metric.high, "n": 3, "protocol": "p"}


def test_none_one_and_equal_clips():
    assert bootstrap(np.array([np.nan])).value is None
    one = bootstrap(np.array([0.3]))
    assert (one.value, one.low, one.high, one.n) == (0.3, None, None, 1)
    same = bootstrap(np.full(9, 0.3))
    assert (same.low, same.high) == (pytest.approx(0.3), pytest.approx(0.3))
    rounded = bootstrap(np.linspace(0.2, 0.9, 50) + 0.05 - np.linspace(0.2, 0.9, 50))
    assert rounded.low == rounded.high == pytest.approx(0.05)


def test_all_right_leaves_a_doubt():
    metric = bootstrap(np.ones(20), proportion=True)
    assert metric.high == 1
    assert metric.low == pytest.approx(0.8389, abs=1e-4)  # Wilson's interval of 20 of 20
    assert wilson(0, 10) == (0, pytest.approx(0.2775, abs=1e-4))


def test_a_measure_that_is_0_everywhere_is_no_proportion():
    still = bootstrap(np.zeros(128))
    assert (still.value, still.low, still.high) == (0, 0, 0)


def test_pairs_see_what_two_intervals_cannot():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.2, 0.9, 100)
    better = hard + 0.02 + rng.normal(0, 0.005, 100)
    assert bootstrap(better).low < bootstrap(hard).high
    difference = paired_difference(better, hard, protocol="x")
    assert 0 < difference.low < 0.02 < difference.high
    assert "paired" in difference.protocol
    better[0] = np.nan
    assert paired_difference(better, hard).n == 99
    with pytest.raises(ValueError, match="same clips"):
        paired_difference(better, hard[1:])


def test_one_clip_that_only_one_arm_gets_right_shows_nothing():
    first, second = np.ones(128), np.ones(128)
    none = paired_difference(first, second, proportion=True)
    assert none.low < none.value == 0 < none.high
    second[0] = 0
    one = paired_difference(first, second, proportion=True)
    assert one.low < 0 < one.value < one.high
    second[:6] = 0  # McNemar's exact test: p = 0.03
    assert paired_difference(first, second, proportion=True).low > 0


def test_a_paired_difference_of_proportions_turns_round_with_its_sides():
    rng = np.random.default_rng(2)
    first, second = (rng.random((2, 90)) < 0.8).astype(float)
    there, back = (paired_difference(*pair, proportion=True) for pair in ((first, second), (second, first)))
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_coverage_of_a_paired_difference_of_proportions():
    rng, n = np.random.default_rng(3), 64
    for only_first, only_second in ((0.15, 0.05), (0.3, 0.1)):
        drawn = rng.multinomial(n, [only_first, only_second, 1 - only_first - only_second], 4000)
        intervals = np.array([agresti_min(a, b, n) for a, b, _ in drawn])
        covered = (intervals[:, 0] <= only_first - only_second) & (only_first - only_second <= intervals[:, 1])
        assert 0.935 <= covered.mean() <= 0.975
