"""Semantic consistency under a perfect, a constant and a random captioner: what counts is the lift over shuffled."""

import numpy as np
import pytest

from models.data.moving_shapes import render_clip
from models.evaluation.metric import bootstrap
from models.evaluation.semantic import SentenceEmbedder, consistency
from tests.models.evaluation.conftest import fetched


@pytest.fixture(scope="module")
def true() -> np.ndarray:
    """Embedded captions of 60 clips."""
    fetched("minilm")
    return SentenceEmbedder().embed([render_clip(seed, frames=3, size=32).caption for seed in range(60)])


def lift(generated: np.ndarray, true: np.ndarray):
    return bootstrap(consistency(generated, true)["semantic_consistency_lift"])


def test_a_perfect_captioner_has_a_lift(true):
    assert lift(true, true).low > 0.1


def test_a_constant_captioner_has_a_perfect_cosine_and_no_lift(true):
    same = np.repeat(true[:1], len(true), axis=0)
    values = consistency(same, same)
    assert values["semantic_consistency"].mean() == pytest.approx(1, abs=1e-6)
    assert lift(same, same).high == pytest.approx(0, abs=1e-9)


def test_a_constant_captioner_has_no_lift_on_the_data_sets_captions(true):
    found = lift(np.repeat(true[:1], len(true), axis=0), true)
    assert found.value == pytest.approx(0, abs=1e-6)
    assert found.low < 0 < found.high


def test_a_random_captioner_has_no_lift(true):
    found = lift(true[np.random.default_rng(0).permutation(len(true))], true)
    assert found.low < 0 < found.high
