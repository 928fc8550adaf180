"""A captioner, or any measure, that says nothing decides nothing: neither GO nor NO_GO; one that speaks is judged."""

from typing import Any

import pytest

from orchestration.documents import Decision, parse_evaluation
from orchestration.gates.gate import decide
from orchestration.plan.programme import load
from tests.orchestration.evaluations import document, metric

PROGRAMME = load()
NAME = "semantic_consistency"
INFORMED = {f"{NAME}_true_lift": metric(0.2, 0.05)}
LIFTED = {f"{NAME}_null": metric(0.6), f"{NAME}_lift": metric(0.3, 0.02)}


def decided(metrics: dict[str, Any], roundtrip: dict[str, Any] | None = None) -> Decision:
    given = document(2, **metrics)
    given["baselines"] = {"vae_roundtrip": roundtrip} if roundtrip else {}
    return decide(PROGRAMME, parse_evaluation(given))


def row(decision: Decision, name: str = NAME) -> Any:
    return next(criterion for criterion in decision.criteria if criterion.metric == name)


def test_a_captioner_that_tells_clips_apart_is_judged_as_before():
    assert decided(LIFTED | INFORMED).verdict == "GO"
    assert row(decided(LIFTED)).outcome == "GO"


def test_a_constant_captioner_with_a_perfect_cosine_never_gates():
    constant = {NAME: metric(1.0, 0.0), f"{NAME}_null": metric(1.0, 0.0), f"{NAME}_lift": metric(0.0, 0.0)}
    decision = decided(constant | {f"{NAME}_true_lift": metric(0.0, 0.01)})
    assert decision.verdict == "INCONCLUSIVE"
    assert row(decision).outcome == "INCONCLUSIVE"
    assert "the measure is useless: on true clips it is no better than its null" in row(decision).why
    assert {row(decision, f"{NAME}_gain@{arm}").outcome for arm in ("vlm_only", "dino_only")} == {"INCONCLUSIVE"}


@pytest.mark.parametrize("beside", [{f"{NAME}_lift": metric(0.0, 0.0)}, {f"{NAME}_lift": metric(1e-9, 0.0)}, {}])
def test_a_constant_captioner_is_seen_without_captions_of_the_data_set(beside):
    """By the lift alone, by a lift that is rounding, and by an evaluation of before there were lifts."""
    decision = decided({NAME: metric(1.0, 0.0), f"{NAME}_null": metric(1.0, 0.0)} | beside)
    assert row(decision).outcome == "INCONCLUSIVE"


def test_a_useless_captioner_fails_nobody_either():
    low = {NAME: metric(0.2), f"{NAME}_null": metric(0.2), f"{NAME}_lift": metric(0.0, 0.01)}
    assert row(decided(low | {f"{NAME}_true_lift": metric(0.0, 0.01)})).outcome == "INCONCLUSIVE"
    by_roundtrip = decided(low, roundtrip={f"{NAME}_lift": metric(0.001, 0.01)})
    assert "on the VAE round trip" in row(by_roundtrip).why
    assert row(by_roundtrip).outcome == "INCONCLUSIVE"


def test_clips_that_a_good_captioner_cannot_tell_apart_fail_or_stay_open_but_never_pass():
    alike = {f"{NAME}_null": metric(0.7), f"{NAME}_lift": metric(0.0, 0.01)} | INFORMED
    assert row(decided(alike | {NAME: metric(0.3), f"{NAME}_null": metric(0.3)})).outcome == "NO_GO"
    passed = row(decided(alike | {NAME: metric(0.9)}))
    assert passed.outcome == "INCONCLUSIVE"
    assert "no better than its null: gain over it 0, -0.01 to 0.01" in passed.why


def test_a_target_that_the_null_reaches_by_itself_is_not_passed():
    found = row(decided(INFORMED | {NAME: metric(0.95), f"{NAME}_null": metric(0.85), f"{NAME}_lift": metric(0.1)}))
    assert found.outcome == "INCONCLUSIVE"
    assert "its null, 0.85, reaches the target 0.8 by itself" in found.why


def test_boxes_that_reach_the_target_without_a_frame_pass_nothing():
    boxed = {"spatial_iou_null": metric(0.72), "spatial_iou_lift": metric(0.08)}
    assert row(decided(boxed), "spatial_iou").outcome == "INCONCLUSIVE"


def test_what_a_number_stands_beside_is_pinned_and_shown():
    from orchestration.gates.board import criteria_rows

    decision = decided(LIFTED | INFORMED | {"spatial_iou_ceiling": metric(0.92, 0.01)})
    rows = {shown["criterion"]: shown["beside"] for shown in criteria_rows(decision)}
    assert rows["spatial_iou"] == "ceiling 0.92 (0.91 .. 0.93)"
    assert rows[NAME].startswith("null 0.6 (0.599 .. 0.601), over null 0.3")
    assert rows["lpips"] == ""
