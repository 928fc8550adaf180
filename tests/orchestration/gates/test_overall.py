"""The project as a whole: §6.4's three conditions, and what follows from a failure (§4.3)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.documents import Decision, Evaluation, Phase, parse_evaluation
from orchestration.gates.gate import decide
from orchestration.gates.overall import Overall, judge, next_step
from orchestration.plan.programme import load
from tests.orchestration.evaluations import document, evaluation, metric

PROGRAMME = load()


def evaluations(**metrics: Any) -> dict[Phase, Evaluation]:
    return {2: evaluation(2), 3: evaluation(3, **metrics)}


def overall(found: dict[Phase, Evaluation] | None = None, decisions: dict[Phase, Decision] | None = None) -> Overall:
    return judge(PROGRAMME, evaluations() if found is None else found, decisions or {})


def rows(judged: Overall) -> dict[str, Any]:
    return {row.metric: row for row in judged.criteria}


def arms(change: dict[str, Any]) -> Evaluation:
    body = document(2)
    body["arms"]["vlm_only"] |= change
    return parse_evaluation(body)


def test_success_is_gate_1_no_regression_and_deployment() -> None:
    judged = overall()
    assert (judged.verdict, judged.next_step) == ("GO", None)
    assert set(rows(judged)) == {
        "spatial_iou@6.4",
        "lpips@6.4",
        "latency_s@6.4",
        "vram_gb@6.4",
        "temporal_ordering_gain@vlm_only",
        "semantic_consistency_gain@vlm_only",
    }
    assert judged.pins["evaluations"] == {str(phase): one.sha256 for phase, one in evaluations().items()}


@pytest.mark.parametrize(
    ("name", "value"), [("spatial_iou", 0.55), ("lpips", 0.4), ("latency_s", 1.9), ("vram_gb", 50.0)]
)
def test_each_condition_alone_fails_the_project(name: str, value: float) -> None:
    judged = overall(evaluations(**{name: metric(value)}))
    assert (judged.verdict, rows(judged)[f"{name}@6.4"].outcome) == ("NO_GO", "NO_GO")
    assert judged.next_step == next_step(PROGRAMME, 3)


def test_a_vlm_strength_lost_beyond_the_margin_fails_it_and_within_does_not() -> None:
    lost = {2: arms({"temporal_ordering": metric(0.99)}), 3: evaluation(3)}  # the hybrid has 0.92
    assert overall(lost).verdict == "NO_GO"
    assert overall(lost).next_step == next_step(PROGRAMME, 2)
    assert overall({2: arms({"temporal_ordering": metric(0.95)}), 3: evaluation(3)}).verdict == "GO"
    straddling = {2: arms({"temporal_ordering": metric(0.96, 0.02)}), 3: evaluation(3)}
    assert overall(straddling).verdict == "INCONCLUSIVE"


def test_what_was_not_measured_is_never_success() -> None:
    for phase in (2, 3):
        judged = overall({number: one for number, one in evaluations().items() if number != phase})
        assert judged.verdict == "INCONCLUSIVE"
        assert any(row.why.endswith(f"phase {phase} not evaluated") for row in judged.criteria)
    assert overall({}).verdict == "INCONCLUSIVE"
    assert overall(evaluations(vram_gb=None)).verdict == "INCONCLUSIVE"
    other = parse_evaluation(document(2) | {"data_version": "data-2"})
    assert (
        "evaluated on other data" in rows(overall({2: other, 3: evaluation(3)}))["temporal_ordering_gain@vlm_only"].why
    )


def test_peak_memory_has_no_interval_and_counts_as_it_is() -> None:
    point = metric(47.9) | {"low": None, "high": None}
    assert overall(evaluations(vram_gb=point)).verdict == "GO"
    assert overall(evaluations(vram_gb=point | {"value": 48.1})).verdict == "NO_GO"
    assert overall(evaluations(spatial_iou=metric(0.9) | {"low": None, "high": None})).verdict == "INCONCLUSIVE"


def test_standins_are_no_success_of_a100() -> None:
    found = {number: parse_evaluation(document(number) | {"profile": "a100"}) for number in (2, 3)}
    judged = overall(found)  # type: ignore[arg-type]
    assert judged.verdict == "INCONCLUSIVE"
    assert all("stand-ins" in row.why for row in judged.criteria)
    real = {number: parse_evaluation(document(number) | {"profile": "a100", "standins": False}) for number in (2, 3)}
    assert overall(real).verdict == "GO"  # type: ignore[arg-type]


def test_the_first_failed_gate_says_what_comes_next() -> None:
    failed: dict[Phase, Decision] = {
        1: decide(PROGRAMME, evaluation(1, spatial_iou=metric(0.5))),
        2: decide(PROGRAMME, evaluation(2, spatial_iou=metric(0.5))),
    }
    judged = overall(decisions=failed)
    assert judged.gates == {1: "NO_GO", 2: "NO_GO", 3: None}
    assert judged.next_step is not None
    assert judged.next_step.startswith("Phase 1 shows that spatial encoding alone is insufficient. Next, fallback 3")
    assert "Reframe research questions" in judged.next_step


def test_each_failure_has_its_fallback() -> None:
    said = [next_step(PROGRAMME, phase) for phase in (1, 2, 3)]
    for text, words in zip(said, ("Reframe", "VLM-only for semantic tasks", "alternative video decoders"), strict=True):
        assert words in text


RANK = {"NO_GO": 0, "INCONCLUSIVE": 1, "MARGINAL": 1, "GO": 2}


@settings(max_examples=60, deadline=None)
@given(st.floats(0.3, 0.85), st.floats(0, 0.04), st.floats(0, 0.1))
def test_better_never_worsens_it(value: float, half: float, gain: float) -> None:
    before = overall(evaluations(spatial_iou=metric(value, half))).verdict
    after = overall(evaluations(spatial_iou=metric(value + gain, half))).verdict
    assert RANK[after] >= RANK[before]
