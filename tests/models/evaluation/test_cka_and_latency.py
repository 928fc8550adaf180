"""CKA against its definition; latency counts what it says."""

import time
from itertools import permutations

import numpy as np
import pytest

from models.evaluation.cka import (
    biased_hsic,
    cka,
    cka_metric,
    gaussian_null,
    gram,
    minibatch_cka,
    permutation_null,
    unbiased_hsic,
)
from models.evaluation.inputs import MetricInputError
from models.evaluation.latency import Latency, measure_latency


def test_hsic_equals_its_definition_as_a_u_statistic():
    """The mean over all ordered quadruples of different clips (Song et al. 2012)."""
    rng = np.random.default_rng(0)
    first, second = (gram(rng.normal(size=(7, 3))) for _ in range(2))
    quadruples = np.array(list(permutations(range(7), 4)))
    i, j, q, r = quadruples.T
    terms = first[i, j] * (second[i, j] + second[q, r] - 2 * second[i, q])
    assert unbiased_hsic(first, second) == pytest.approx(terms.mean())


def test_independent_wide_features_give_about_nought_where_the_biased_form_gives_one():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 60, 2000))
    k, kk = gram(first), gram(second)
    biased = (k * kk).sum() / np.sqrt((k * k).sum() * (kk * kk).sum())
    assert biased > 0.9
    assert cka(first, second, "biased") == pytest.approx(biased)
    assert abs(cka(first, second)) < 0.05


def test_biased_hsic_equals_its_definition():
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(9, 4)) for _ in range(2))
    k, kk, centre = first @ first.T, second @ second.T, np.eye(9) - 1 / 9
    assert biased_hsic(k, kk) == pytest.approx(np.trace(k @ centre @ kk @ centre) / 64)


@pytest.mark.parametrize("form", ["unbiased", "biased"])
def test_the_jackknife_is_that_of_leaving_out_each_clip_in_turn(form):
    rng = np.random.default_rng(1)
    first = rng.normal(size=(20, 5))
    second = first[:, :3] + rng.normal(size=(20, 3))
    kept = [np.delete(np.arange(20), clip) for clip in range(20)]
    left_out = np.array([cka(first[some], second[some], form) for some in kept])
    error = np.sqrt(19 / 20 * ((left_out - left_out.mean()) ** 2).sum())
    metric = cka_metric(first, second, permutations=5, form=form)
    assert metric.high - metric.value == pytest.approx(1.96 * error)


def test_chance_alone_gives_high_biased_values_while_clips_are_few():
    """Of independent Gaussians the biased form tends to sqrt(d1 d2 / ((d1 + n) (d2 + n)))."""
    means = {n: gaussian_null(n, (300, 100), 10) for n in (16, 64)}
    for n, null in means.items():
        expected = np.sqrt(300 * 100 / ((300 + n) * (100 + n)))
        assert null["biased"].mean() == pytest.approx(expected, abs=0.02)
        assert abs(null["unbiased"].mean()) < 0.03


def test_rotation_and_scale_give_one():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 20))
    rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    assert cka(features, 7 * features @ rotation + 3) == pytest.approx(1)
    assert np.isnan(cka(features, np.ones((50, 4))))


def test_minibatches_agree_with_the_whole():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(256, 10))
    second = first @ rng.normal(size=(10, 10)) + rng.normal(size=(256, 10))
    parts = minibatch_cka(zip(first.reshape(4, 64, 10), second.reshape(4, 64, 10), strict=True))
    assert parts == pytest.approx(cka(first, second), abs=0.05)


def test_metric_prints_its_null():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(40, 6))
    metric = cka_metric(first, first + 0.5 * rng.normal(size=(40, 6)), permutations=99)
    assert metric.low < metric.value < metric.high
    assert "p 0.010" in metric.protocol
    null = permutation_null(first, rng.normal(size=(40, 6)), 99)
    assert abs(null.mean()) < 0.05
    with pytest.raises(MetricInputError, match="N >= 4"):
        cka(first[:3], first[:3])
    with pytest.raises(MetricInputError, match="NaN"):
        cka(np.full((5, 2), np.nan), np.zeros((5, 2)))


def test_latency_and_its_memory_are_what_they_are_called():
    calls = []

    def call():
        calls.append(1)
        time.sleep(0.02 if len(calls) % 10 == 0 else 0.001)

    latency = measure_latency(call, "sleeping, serial", calls=60)
    assert len(calls) == 65
    median, tail = latency.metric(), latency.metric(0.95)
    assert (tail.low, tail.high) == (None, None)
    assert tail.protocol.endswith("no interval of fewer than 72 calls")
    assert 0.001 <= median.low <= median.value <= median.high < 0.02
    assert tail.value > 3 * median.value
    assert median.protocol == "p50 of 60 calls after 5 of warm-up; sleeping, serial"
    memory = latency.memory_metric()
    assert "not VRAM" in memory.protocol
    assert 0.05 < memory.value < 100
    with pytest.raises(ValueError, match="at least 50"):
        measure_latency(call, "", calls=10)


@pytest.mark.parametrize(("quantile", "calls"), [(0.5, 50), (0.5, 128), (0.95, 100), (0.95, 400)])
def test_the_interval_of_a_quantile_covers(quantile, calls):
    rng, truth = np.random.default_rng(0), -np.log(1 - quantile)
    timed = [Latency(rng.exponential(1.0, calls), "", "", 0.0, None).metric(quantile) for _ in range(3000)]
    covered = np.mean([one.low <= truth <= one.high for one in timed])
    assert 0.93 <= covered <= 0.985  # ranks are whole: with few calls beyond it an interval is a little wide


def test_so_many_calls_as_are_asked_for_give_an_interval():
    seconds = np.random.default_rng(0).exponential(1.0, 74)
    found = [Latency(seconds[:n], "", "", 0.0, None).metric(0.95).low for n in (60, 72, 74)]
    assert found[0] is None
    assert found[2] is not None
