"""FVD's bias: the truth is 0, the estimate above it falls with N, and the model agrees with what is measured."""

import numpy as np
import pytest

from models.evaluation.fvd import frechet_distance
from models.evaluation.fvd_bias import bias
from models.evaluation.inputs import MetricInputError


def test_bias_falls_with_the_clips_and_the_model_is_near_the_measured():
    logits = np.random.default_rng(0).normal(size=(64, 30)) / np.arange(1, 31)
    table = bias(logits, (8, 32, 256), repeats=10)
    assert [row.measured is None for row in table] == [False, False, True]
    modelled = [row.modelled[0] for row in table]
    assert modelled[0] > 2 * modelled[1] > 4 * modelled[2] > 0
    assert table[0].measured[0] == pytest.approx(modelled[0], rel=0.3)
    assert [row.gates for row in table] == [False, False, True]


def test_the_fitted_normal_has_the_clips_own_mean_and_covariance():
    """Its draws are at no distance from the clips but the bias of the estimator."""
    logits = np.random.default_rng(1).normal(size=(40, 100)) + 5
    (few,) = bias(logits, (8,), repeats=3)
    again = bias(logits, (8,), repeats=3)[0]
    assert few == again
    turned = logits @ np.linalg.qr(np.random.default_rng(2).normal(size=(100, 100)))[0]
    assert bias(turned, (8,), repeats=3)[0].measured == pytest.approx(few.measured)
    assert frechet_distance(logits, turned) > few.modelled[0]


def test_too_few_clips_are_refused():
    with pytest.raises(MetricInputError, match="15 clips; at least 16"):
        bias(np.zeros((15, 4)), (8,))
