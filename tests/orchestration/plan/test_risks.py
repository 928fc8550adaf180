"""Each risk follows its signal: triggered when it comes, retired when what it threatened went well, open until then."""

import datetime as dt

import pytest

from orchestration.documents import parse_evaluation
from orchestration.gates import gate
from orchestration.plan.programme import load
from orchestration.plan.risks import COSINE, HELD_OUT, Signals, Training, assess
from orchestration.plan.timeline import PhaseDates, timeline
from tests.orchestration.evaluations import document, evaluation, metric

PROGRAMME, FIRST = load(), dt.date(2026, 3, 2)


def plan(dates=None, today=FIRST):
    return timeline(PROGRAMME, dates or {}, today, FIRST, None)


def decided(phase: int, **changes):
    return {phase: gate.decide(PROGRAMME, evaluation(phase, **changes))}


def risk(signal: str, timeline=None, **known):
    states = {one.risk.signal: one for one in assess(PROGRAMME, Signals(timeline or plan(), **known))}
    return states[signal]


def history(steps: int, **of) -> list[dict[str, float]]:
    """A quiet run; a key's function gives its value at a step, and None leaves it out."""
    quiet = {"loss": lambda step: 1 - 0.3 * step / steps, "grad_norm": lambda step: 1.0 + 0.1 * (step % 3)}
    rows = [{name: give(step) for name, give in (quiet | of).items()} for step in range(steps)]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def training(phase=2, arm="hybrid", steps=100, non_finite=False, **of):
    return Training(phase, arm, history(steps, **of), 100, non_finite)


def test_every_risk_of_the_proposal_has_a_state_and_a_reason_and_two_are_watched_by_people():
    states = assess(PROGRAMME, Signals(plan()))
    assert [one.risk for one in states] == PROGRAMME.risks
    assert {one.state for one in states} == {"open"}
    assert all(one.why for one in states)
    assert sum("people watch it" in one.why for one in states) == 2


def test_spatial_metrics_follow_the_gate_of_phase_1():
    good, bad = decided(1), decided(1, bbox_iou=metric(0.2))
    assert risk("spatial_metrics", decisions=good).state == "retired"
    triggered = risk("spatial_metrics", decisions=bad)
    assert triggered.state == "triggered"
    assert "bbox_iou: whole interval < failure threshold 0.3" in triggered.why
    assert triggered.next_step == "DINOv2 is proven for dense prediction; early validation in Phase 1"
    assert risk("spatial_metrics", decisions=decided(1, bbox_iou=metric(0.4))).state == "open"


@pytest.mark.parametrize(
    ("steps", "losses", "state"),
    [(40, (0.5, 0.5), "open"), (60, (0.5, 0.5), "triggered"), (60, (0.5, 0.55), "triggered"), (60, (0.5, 0.4), "open")],
)
def test_before_the_gate_early_steps_have_to_show_a_fall_on_held_out_clips(steps, losses, state):
    measured = {9: losses[0], 35: losses[1]}
    run = training(1, "", steps, **{HELD_OUT: measured.get})
    assert risk("spatial_metrics", trainings=[run]).state == state


def test_fusion_is_triggered_where_the_hybrid_does_not_exceed_a_stream():
    assert risk("fusion_gains", decisions=decided(2)).state == "retired"
    measured = document(2)
    measured["arms"]["hybrid"]["temporal_ordering"] = metric(0.30)
    blind = {2: gate.decide(PROGRAMME, parse_evaluation(measured))}
    assert risk("fusion_gains", decisions=blind).state == "triggered"
    assert risk("interference", decisions=blind).state == "triggered", "it gave away what the VLM alone can do"


@pytest.mark.parametrize(
    ("arm", "cosines", "state"),
    [
        ("hybrid", (0.2, -0.4, -0.3, -0.2), "triggered"),
        ("hybrid", (-0.4, -0.4), "open"),
        ("hybrid", (-0.4, -0.1, 0.1, 0.1), "open"),
        ("dino_only", (-0.4, -0.4, -0.4), "open"),
    ],
)
def test_opposed_gradients_of_the_hybrid_are_interference_before_any_gate(arm, cosines, state):
    measured = dict(zip(range(0, 100, 25), cosines))
    run = training(arm=arm, **{COSINE: measured.get})
    assert risk("interference", trainings=[run]).state == state


def test_a_stream_that_the_hybrid_shuts_out_is_interference():
    gates = {"gate/spatial/0": 0.9, "gate/spatial/1": 0.8, "gate/semantic/0": 0.02, "gate/semantic/1": 0.01}
    shut = Training(2, "hybrid", [*history(50), {"loss": 1.0, "grad_norm": 1.0, **gates}], 100)
    triggered = risk("interference", trainings=[shut])
    assert triggered.state == "triggered"
    assert "semantic stream" in triggered.why
    ajar = Training(2, "hybrid", [*history(50), {"loss": 1.0, **gates, "gate/semantic/1": 0.5}], 100)
    single = Training(2, "dino_only", shut.history, 100)
    assert risk("interference", trainings=[ajar, single]).state == "open"


@pytest.mark.parametrize(
    ("seconds", "state"), [(1.0, "retired"), (2.0, "triggered"), (3.0, "triggered"), (None, "open")]
)
def test_latency_follows_its_threshold(seconds, state):
    latency = None if seconds is None else metric(seconds)
    assert risk("latency", decisions=decided(3, latency_s=latency)).state == state


def test_a_quiet_training_triggers_nothing_and_is_retired_with_the_last_phase():
    assert risk("instability", trainings=[training()]).state == "open"
    assert risk("instability", trainings=[training()], decisions=decided(3)).state == "retired"


@pytest.mark.parametrize(
    "run",
    [
        training(non_finite=True),
        training(grad_norm=lambda step: 50.0 if step in (30, 60, 90) else 1.0),
        training(loss=lambda step: 1.0 if step < 60 else 5.0),
    ],
)
def test_numbers_that_are_none_leaping_gradients_and_a_rising_loss_are_instability(run):
    assert risk("instability", trainings=[run]).state == "triggered"


def test_one_leap_is_an_accident_and_steps_with_other_loss_terms_are_no_leaps():
    once = training(grad_norm=lambda step: 50.0 if step == 30 else 1.0)
    terms = training(
        pixel=lambda step: 1.0 if step % 4 == 0 else None, grad_norm=lambda step: 50.0 if step % 4 == 0 else 1.0
    )
    assert risk("instability", trainings=[once, terms]).state == "open"


def test_phase_1_with_one_encoder_is_not_what_the_risk_speaks_of():
    assert "has begun" in risk("instability", trainings=[training(1, "", non_finite=True)]).why


def test_phase_1_past_week_3_is_triggered_and_retired_once_it_is_through():
    began = {1: PhaseDates(FIRST)}
    assert risk("phase1_overdue", plan(began, FIRST + dt.timedelta(days=20))).state == "open"
    late = risk("phase1_overdue", plan(began, FIRST + dt.timedelta(days=21)))
    assert (late.state, late.next_step) == (
        "triggered",
        "Clear success criteria; quick pivots if metrics don't improve",
    )
    through = PhaseDates(FIRST, FIRST, FIRST + dt.timedelta(days=30))
    assert "10 days late" in risk("phase1_overdue", plan({1: through}, FIRST + dt.timedelta(days=40))).why
