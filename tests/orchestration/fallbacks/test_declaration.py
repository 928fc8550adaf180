"""A fallback says of every criterion whether it asks it, and asks it as the proposal does."""

from typing import Any

import pytest
import yaml

from orchestration.fallbacks.declaration import FALLBACKS, Fallback, load, names
from orchestration.plan import programme
from orchestration.plan.programme_file import ProgrammeError

GIVEN = programme.load()


def declared(**changes: Any) -> Fallback:
    said = yaml.safe_load((FALLBACKS / "semantic.yaml").read_text())
    return Fallback.model_validate({**said, **changes})


@pytest.mark.parametrize("name", ["semantic", "vlm_only"])
def test_what_is_kept_is_asked_as_the_proposal_asks_it(name):
    made = load(name).programme(GIVEN)
    bars = {bar.metric: bar for bar in GIVEN.bars(2)}
    assert {bar.metric: bar for bar in made.bars(2)} == {
        metric: bars[metric] for metric in ("temporal_ordering", "semantic_consistency")
    }


@pytest.mark.parametrize("name", names())
def test_it_is_another_programme_by_title_and_by_hash(name):
    made = load(name).programme(GIVEN)
    assert made.title.startswith("FALLBACK of §4.3, not the proposal's programme")
    assert made.sha256 != GIVEN.sha256
    assert programme.load().sha256 == GIVEN.sha256


def test_the_hybrid_still_has_to_exceed_the_streams_in_what_is_kept():
    rule = load("semantic").programme(GIVEN).phases[2].single_stream
    assert rule is not None
    assert rule.exceeds == {"vlm_only": [], "dino_only": ["temporal_ordering", "semantic_consistency"]}
    assert rule.keeps == {"vlm_only": {"temporal_ordering": 0.05, "semantic_consistency": 0.05}, "dino_only": {}}


def test_a_stream_alone_is_not_compared_with_itself():
    assert load("vlm_only").programme(GIVEN).phases[2].single_stream is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"aside": {"lpips": "no"}}, "spatial_iou of phase 2 is neither kept nor set aside"),
        ({"aside": {"lpips": "a", "spatial_iou": "b", "temporal_ordering": "c"}}, "temporal_ordering is both"),
        ({"aside": {"lpips": "a", "spatial_iou": "b", "fvd": "c"}}, "fvd is no criterion of phase 2"),
        ({"fallback": 4}, "allowed: 1 to 3"),
    ],
)
def test_a_fallback_that_hides_or_invents_a_criterion_is_refused(changes, says):
    with pytest.raises(ProgrammeError, match=says):
        declared(**changes).programme(GIVEN)


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(ProgrammeError, match="there are semantic, vlm_only"):
        load("spatial")
