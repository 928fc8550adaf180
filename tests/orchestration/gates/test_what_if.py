"""What a gate would say at other thresholds, and which rows turn."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.gates.gate import decide
from orchestration.gates.what_if import WhatIfError, changed, parse, turned
from orchestration.plan.programme import load
from tests.orchestration.evaluations import evaluation, metric

PROGRAMME = load()


def asked(*texts: str):
    return changed(PROGRAMME, [parse(text, PROGRAMME) for text in texts])


def test_the_number_that_is_given_governs_whatever_the_sections_state() -> None:
    bar = asked("1.spatial_iou.target=0.6", "1.spatial_iou.failure=0.5").bars(1)[0]
    assert (bar.target, bar.failure, bar.section) == (0.6, 0.5, "house")
    assert asked("1.spatial_iou.target=0.7").bars(1)[0].failure == 0.65
    assert asked("1.spatial_iou.target=0.7").bars(2) == PROGRAMME.bars(2)
    assert asked() == PROGRAMME


def test_the_rows_that_turn_are_named_with_both_thresholds() -> None:
    given_ = evaluation(1, spatial_iou=metric(0.72))
    before, after = decide(PROGRAMME, given_), decide(asked("1.spatial_iou.target=0.7"), given_)
    assert (before.verdict, after.verdict) == ("MARGINAL", "GO")
    assert [str(row) for row in turned(before, after)] == [
        "spatial_iou: MARGINAL (target 0.75, failure 0.65) -> GO (target 0.7, failure 0.65)"
    ]
    assert turned(before, before) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spatial_iou=0.7", "give PHASE.METRIC.target=NUMBER"),
        ("4.spatial_iou.target=0.7", "give PHASE.METRIC.target=NUMBER"),
        ("1.spatial_iou.goal=0.7", "give PHASE.METRIC.target=NUMBER"),
        ("1.fvd.target=100", "fvd is no criterion of phase 1; there are spatial_iou, lpips, bbox_iou, edge_f1"),
        ("1.lpips.target=low", "'low' is not a number"),
        ("1.spatial_iou.target=70", "outside the metric's range"),
        ("1.spatial_iou.target=0.6", "lies on the good side of target 0.6"),
        ("1.lpips.target=nan", "finite number"),
    ],
)
def test_a_change_that_means_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(WhatIfError, match=said):
        asked(text)


RANK = {"NO_GO": 0, "INCONCLUSIVE": 1, "MARGINAL": 1, "GO": 2}


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, 0.95), st.floats(0, 0.05), st.floats(0.65, 0.75))
def test_an_easier_target_never_worsens_the_verdict(value: float, half: float, target: float) -> None:
    given_ = evaluation(1, spatial_iou=metric(value, half))
    easier = decide(asked(f"1.spatial_iou.target={target}"), given_)
    assert RANK[easier.verdict] >= RANK[decide(PROGRAMME, given_).verdict]
