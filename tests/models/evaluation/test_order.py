"""Direction and order, whoever reads them: right readers win, one answer for everything wins nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.inputs import MetricInputError
from models.evaluation.metric import bootstrap
from models.evaluation.order import judge
from models.evaluation.spoken import named, read_captions

WORDS = ("down", "left", "right", "up")
pairs = st.lists(st.sampled_from([(a, b) for a in WORDS for b in WORDS]), min_size=2, max_size=12)


def shown(count: int, seed: int = 0) -> list[tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    return [tuple(str(word) for word in rng.choice(WORDS, 2, replace=False)) for _ in range(count)]


def caption(first: str, second: str) -> str:
    return f"a small red ring moves {first} then {second} near a blue cross"


def test_captions_that_name_what_is_shown_are_right_and_far_above_shuffled():
    truth = shown(200)
    found = read_captions([caption(*pair) for pair in truth], truth, WORDS)
    assert found.direction.mean() == found.ordering.mean() == 1
    assert found.direction_null.mean() == pytest.approx(0.25, abs=0.05)
    assert found.ordering_null.mean() == pytest.approx(0.5, abs=0.05)
    assert bootstrap(found.values()["temporal_ordering_lift"]).low > 0.4


def test_captions_at_random_are_at_chance():
    truth = shown(400)
    found = read_captions([caption(*pair) for pair in shown(400, seed=1)], truth, WORDS)
    assert found.direction.mean() == pytest.approx(0.25, abs=0.06)
    assert found.ordering.mean() == pytest.approx(0.5, abs=0.06)
    for name in ("direction_lift", "temporal_ordering_lift"):
        lift = bootstrap(found.values()[name])
        assert lift.low < 0 < lift.high


def test_captions_that_know_both_directions_and_not_their_order_are_at_chance():
    truth = shown(400)
    coin = np.random.default_rng(2).random(400) < 0.5
    said = [caption(*(pair if heads else pair[::-1])) for pair, heads in zip(truth, coin, strict=True)]
    found = read_captions(said, truth, WORDS)
    assert found.ordering.mean() == pytest.approx(0.5, abs=0.06)
    assert found.direction.mean() == pytest.approx(0.5, abs=0.06)


@given(pairs, st.sampled_from([(a, b) for a in WORDS for b in WORDS]))
def test_one_caption_for_everything_gains_nothing_over_shuffled_whatever_the_clips_show(truth, said):
    found = read_captions([caption(*said)] * len(truth), truth, WORDS)
    for name, lift in found.values("_caption").items():
        if name.endswith("_lift"):
            known = lift[np.isfinite(lift)]
            assert known == pytest.approx(np.zeros(len(known)), abs=1e-12)


def test_a_caption_that_names_nothing_is_wrong_of_direction_and_half_right_of_order():
    truth = shown(6)
    found = read_captions(["a thing moves", "", None, "It goes LEFTWARDS", "up", "Up"], truth, WORDS)
    assert (found.direction[:4] == 0).all()
    assert (found.ordering[:4] == 0.5).all()
    assert found.direction[4:].tolist() == [float(pair[0] == "up") for pair in truth[4:]]


def test_words_are_found_whole_in_any_case_and_in_their_order():
    assert named("It moves Right, then up; upright it stays", WORDS) == ["right", "up"]


def test_unknown_directions_and_such_that_do_not_turn_are_undefined():
    found = read_captions([caption("up", "left")] * 3, [None, ("up", "up"), ("up", "left")], WORDS)
    assert np.isnan(found.direction).tolist() == [True, False, False]
    assert np.isnan(found.ordering).tolist() == [True, True, False]
    assert np.isnan(found.ordering_null).tolist() == [True, True, False]
    alone = read_captions([caption("up", "left")], [("up", "left")], WORDS)
    assert np.isnan(alone.ordering_null).all()


def test_scores_of_other_clips_are_refused():
    with pytest.raises(MetricInputError, match=r"\(3, 4\) and \(3, 4\) for 2 clips and 4 words"):
        judge(WORDS, np.zeros((3, 4)), np.zeros((3, 4)), shown(2))
