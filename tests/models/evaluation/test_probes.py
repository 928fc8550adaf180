"""Temporal probes: right where the conditioning holds the order, chance where it does not; captions likewise."""

import numpy as np
import pytest

from models.evaluation.inputs import MetricInputError
from models.evaluation.probes import TemporalProbe, pool
from models.evaluation.semantic import SentenceEmbedder, semantic_consistency, shuffled_consistency
from tests.models.evaluation.conftest import fetched

STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def clips(count: int, seed: int, informative: bool = True):
    """Conditioning [N, 5, 8] that holds a position that moves one way, then another, mixed into 8 numbers."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(2, 8))
    names, features = [], []
    for _ in range(count):
        pair = [str(name) for name in rng.choice(list(STEPS), 2, replace=False)]
        moves = np.array([(0, 0), *2 * [STEPS[pair[0]]], *2 * [STEPS[pair[1]]]]) * informative
        features.append((np.cumsum(moves, 0) + rng.normal(size=2)) @ mixing + rng.normal(0, 0.2, (5, 8)))
        names.append(pair)
    return np.array(features), names


def test_finds_direction_and_order_where_they_are():
    found = TemporalProbe.fit(*clips(300, 0)).read(*clips(100, 1))
    assert found.direction.mean() > 0.95
    assert found.ordering.mean() > 0.95


def test_is_at_chance_where_they_are_not():
    found = TemporalProbe.fit(*clips(300, 0, informative=False)).read(*clips(400, 1, informative=False))
    assert 0.15 < found.direction.mean() < 0.35
    assert 0.4 < found.ordering.mean() < 0.6


def test_same_directions_and_unknown_ones_are_undefined():
    features, names = clips(50, 0)
    probe = TemporalProbe.fit(features, [None, *names[1:]])
    found = probe.read(features[:3], [None, ("up", "up"), names[2]])
    assert np.isnan(found.direction[0])
    assert np.isnan(found.ordering[:2]).all()
    assert found.direction[1] in (0, 1)
    assert not np.isnan(found.ordering[2])
    with pytest.raises(MetricInputError, match="fewer than two"):
        TemporalProbe.fit(features[:4], 4 * [("up", "up")])
    with pytest.raises(MetricInputError, match="50 train clips, 49 directions"):
        TemporalProbe.fit(features, names[1:])
    with pytest.raises(MetricInputError, match=r"fitted on \(5, 8\) a clip, given \(50, 3, 8\) and 50 directions"):
        probe.read(features[:, :3], names)


def test_pooling_with_positions_keeps_where_things_are():
    tokens = np.zeros((2, 1, 4, 1), np.float32)
    tokens[0, 0, 0], tokens[1, 0, 3] = 1, 1
    positions = np.array([[[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]])
    assert (pool(tokens)[0] == pool(tokens)[1]).all()
    placed = pool(tokens, positions)
    assert placed.shape == (2, 1, 3)
    assert placed[0, 0, 1] < 0 < placed[1, 0, 1]


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    fetched("minilm")
    return SentenceEmbedder()


def test_embeddings_know_meaning(embedder):
    vectors = embedder.embed(
        ["a cat sits on a mat", "a kitten rests on a rug", "the stock market fell today", "", None]
    )
    np.testing.assert_allclose(np.linalg.norm(vectors[:3], axis=1), 1, rtol=1e-5)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.5 > 0.2 > far
    assert np.isnan(vectors[3:]).all()
    # Padding in a batch must not change a sentence.
    alone = embedder.embed(["a cat sits on a mat"])
    np.testing.assert_allclose(alone[0], vectors[0], atol=1e-5)


def test_one_caption_for_everything_scores_as_useless(embedder):
    true = ["a red circle moves left then up", "a blue square moves down then right", "a green ring moves up then left"]
    truth = embedder.embed(true)
    same = embedder.embed(3 * ["a thing moves"])
    right = semantic_consistency(truth, truth).mean() - shuffled_consistency(truth, truth).mean()
    useless = semantic_consistency(same, truth).mean() - shuffled_consistency(same, truth).mean()
    assert right > 0.1
    assert useless == pytest.approx(0, abs=1e-6)


def test_a_missing_caption_is_undefined_for_its_clip_alone():
    vectors = np.eye(3)
    gap = vectors.copy()
    gap[1] = np.nan
    np.testing.assert_array_equal(np.isnan(semantic_consistency(gap, vectors)), [False, True, False])
    np.testing.assert_array_equal(np.isnan(shuffled_consistency(gap, vectors)), [False, True, False])
    assert np.isnan(shuffled_consistency(vectors[:1], vectors[:1])).all()
    with pytest.raises(MetricInputError):
        semantic_consistency(vectors, vectors[:2])
