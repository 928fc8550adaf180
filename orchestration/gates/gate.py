"""A gate: one pure function from the programme and an evaluation to a decision (design §7).

A criterion is GO when its whole interval is on the good side of the target, NO_GO when it is wholly beyond the
failure threshold, MARGINAL when wholly between them. An interval across a threshold, or whatever forbids to trust the
number (missing, not finite, stale, wrong unit, another protocol, too few clips, stand-ins), is INCONCLUSIVE and says
why. The verdict is the worst of NO_GO, INCONCLUSIVE, MARGINAL, GO, in that order. Nothing here reads a clock, a file or
a database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue

from orchestration.documents import Action, Criterion, Decision, Evaluation, MetricValue, Phase, Verdict
from orchestration.gates import nulls
from orchestration.gates.comparison import compared
from orchestration.plan.programme import Bar, Beside, Metric, Programme

# More clips than this are not an answer: the value lies on the threshold, and a person settles it.
MOST_CLIPS = 1_000_000
BESIDE = ("ceiling", "null", "lift", "true_lift", "caption", "probe")  # what a gating number is to be read beside
PINNED = ("data_version", "code_commit", "weights", "runs", "per_clip_sha256")


@dataclass(frozen=True)
class Row:
    """A criterion with what the verdict needs beyond it: whether it gates, and how many clips would settle it."""

    criterion: Criterion
    bar: Bar
    clips: int | None
    gates: bool = True


def decide(
    programme: Programme,
    evaluation: Evaluation,
    *,
    pins: Mapping[str, JsonValue] | None = None,
    previous_sha256: str | None = None,
    profile: str | None = None,
    phase: Phase | None = None,
) -> Decision:
    """The decision on one evaluation.

    Args:
        pins: what holds now, such as {"data_version": ..., "dataset": ...}. Where the evaluation says otherwise of its
            data, code, weights or runs, it is stale. What the evaluation does not say is pinned as given.
        previous_sha256: the decision that this one is chained to.
        profile: the profile whose gate is decided; the evaluation's own by default.
        phase: the gate that is asked; the evaluation's own by default.
    """
    phase, profile, pins = phase or evaluation.phase, profile or evaluation.profile, dict(pins or {})
    why = untrusted(programme, evaluation, pins, profile, phase)
    rows = [_row(bar, evaluation.metrics.get(bar.metric), programme, evaluation, why) for bar in programme.bars(phase)]
    rows += [
        judge(bar, value, why or foreign or nulls.useless(bar.metric.removesuffix("_gain"), evaluation), name)
        for name, bar, value, foreign in compared(programme, evaluation, phase)
    ]
    rows += _beside(programme, evaluation, phase, why)
    verdict = worst([row.criterion.outcome for row in rows if row.gates])
    clips = [row.clips for row in rows if row.gates and row.clips is not None]
    body = {
        "schema": "foresight.decision/1",
        "phase": phase,
        "verdict": verdict,
        "action": action(programme, phase, verdict),
        "criteria": tuple(row.criterion for row in rows),
        "clips_needed": max(clips, default=None) if verdict == "INCONCLUSIVE" else None,
        "pins": _pins(programme, evaluation, pins, profile, rows),
        "previous_sha256": None,
        "sha256": "",
    }
    return Decision.model_validate(body).chained(previous_sha256)


def worst(outcomes: list[Verdict]) -> Verdict:
    """One NO_GO decides; else what is not known leaves it open; else a person weighs what is between."""
    for verdict in ("NO_GO", "INCONCLUSIVE", "MARGINAL"):
        if verdict in outcomes:
            return verdict
    return "GO" if outcomes else "INCONCLUSIVE"


def action(programme: Programme, phase: Phase, verdict: Verdict) -> Action:
    """What §4.4 calls the verdict at this decision point; what is neither GO nor NO_GO waits."""
    point = programme.phases[phase].decision
    return {"GO": point.go, "NO_GO": point.no_go}.get(verdict, "wait")  # type: ignore[return-value]


def untrusted(
    programme: Programme, evaluation: Evaluation, pins: Mapping[str, Any], profile: str, phase: Phase
) -> str | None:
    """Why nothing in this evaluation may decide this gate, if so."""
    if evaluation.phase != phase:
        return f"this evaluation is of phase {evaluation.phase}, not {phase}"
    if evaluation.profile != profile:
        return f"evaluated in profile {evaluation.profile}; the gate of {profile} needs its own evaluation"
    if evaluation.standins and profile not in programme.gate.standins_decide:
        return f"made with stand-ins, which never decide a gate of profile {profile}"
    stale = [key for key in PINNED if key in pins and pins[key] != getattr(evaluation, key)]
    if stale:
        return f"stale: {', '.join(stale)} changed since this evaluation; evaluate again"
    return None


def _row(
    bar: Bar, value: MetricValue | None, programme: Programme, evaluation: Evaluation, untrusted: str | None
) -> Row:
    metric = programme.metrics[bar.metric]
    value = _of_peak(metric, value)
    few = value or evaluation.metrics.get(f"{bar.metric}_smallN")
    if untrusted is None and few is not None and few.value is not None and few.n < metric.min_n:
        why = f"n {few.n} is below {metric.min_n} {metric.counts}: {metric.title} does not gate on so few"
        return judge(bar, value, why, clips=metric.min_n if metric.counts == "clips" else None)
    why = untrusted or _distrust(metric, value, evaluation.n_clips) or nulls.useless(bar.metric, evaluation)
    row = judge(bar, value, why)
    return row if why else _proven(row, value, evaluation)


def _proven(row: Row, value: MetricValue | None, evaluation: Evaluation) -> Row:
    """The row, if its number is better than what says nothing would have; else INCONCLUSIVE with the reason."""
    why = nulls.unproven(row.bar, evaluation, row.criterion.outcome)
    return judge(row.bar, value, why) if why else row


def _distrust(metric: Metric, value: MetricValue | None, n_clips: int) -> str | None:
    """Why this value may not gate, if so."""
    if value is None:
        return "not measured"
    if value.n == 0 and value.value is None:
        return f"measured on no clip ({value.protocol})"
    if value.value is None:
        return "measured as not finite"
    if value.low is None or value.high is None:
        return "has no interval"
    if not value.low <= value.value <= value.high:
        return f"its interval {value.low:g} to {value.high:g} does not hold its value {value.value:g}"
    low, high = -math.inf if metric.least is None else metric.least, math.inf if metric.most is None else metric.most
    if value.low < low - 1e-6 or value.high > high + 1e-6:
        return f"outside {low:g} to {high:g}: wrong unit?"
    if metric.counts == "clips" and value.n > n_clips:
        return f"n {value.n} is more than the {n_clips} clips of this evaluation"
    if not value.protocol.strip():
        return "no protocol: a number without its protocol is not comparable"
    if lacking := metric.foreign(value.protocol):
        return f"another protocol ({value.protocol!r}): {metric.title} here is the one by {', '.join(lacking)}"
    return None


def _of_peak(metric: Metric, value: MetricValue | None) -> MetricValue | None:
    """A maximum has no interval: what was reached was reached."""
    if not metric.peak or value is None or value.low is not None or value.high is not None:
        return value
    return value.model_copy(update={"low": value.value, "high": value.value})


def judge(
    bar: Bar, value: MetricValue | None, why: str | None, name: str | None = None, clips: int | None = None
) -> Row:
    """One row: the interval against its bar, or INCONCLUSIVE with the reason that forbids the comparison."""
    outcome: Verdict = "INCONCLUSIVE"
    if why is None and value is not None and value.value is not None:
        outcome, why, clips = _against(bar, value.value, value.low, value.high, value.n)  # type: ignore[arg-type]
    criterion = Criterion(
        metric=name or bar.metric,
        target=bar.target,
        failure=bar.failure,
        section=bar.section,
        value=value.value if value else None,
        low=value.low if value else None,
        high=value.high if value else None,
        outcome=outcome,
        why=why or "not measured",
    )
    return Row(criterion, bar, clips)


def _against(bar: Bar, value: float, low: float, high: float, n: int) -> tuple[Verdict, str, int | None]:
    """Compare as if higher were better; `failure` is the target itself where the proposal gives none."""
    target, failure = bar.sign * bar.target, bar.sign * (bar.target if bar.failure is None else bar.failure)
    middle, (worse, better) = bar.sign * value, sorted((bar.sign * low, bar.sign * high))
    past, short = (">", "<") if bar.sign > 0 else ("<", ">")
    if worse > target:
        return "GO", f"whole interval {past} target {bar.target:g}", None
    if better < failure:
        what = "target" if bar.failure is None or bar.failure == bar.target else "failure threshold"
        return "NO_GO", f"whole interval {short} {what} {bar.sign * failure:g}", None
    if worse >= failure and better <= target:
        return "MARGINAL", f"between failure threshold {bar.sign * failure:g} and target {bar.target:g}", None
    across = sorted({line for line in (failure, target) if worse <= line <= better})
    clips = _clips(middle, worse, better, n, across)
    many = f"about {clips} clips would settle it" if clips else "more clips would not settle it: the value lies on it"
    return (
        "INCONCLUSIVE",
        f"interval straddles {' and '.join(f'{bar.sign * line:g}' for line in across)}; {many}",
        clips,
    )


def _clips(middle: float, worse: float, better: float, n: int, across: list[float]) -> int | None:
    """The N at which an interval that narrows as 1/sqrt(N) around this value would be clear of all of them."""
    needed = 0.0
    for line in across:
        distance, arm = abs(middle - line), (better - middle if line > middle else middle - worse)
        if distance == 0 or n * (arm / distance) ** 2 > MOST_CLIPS:
            return None
        needed = max(needed, n * (arm / distance) ** 2)
    return math.floor(needed) + 1


def _beside(programme: Programme, evaluation: Evaluation, phase: Phase, why: str | None) -> list[Row]:
    """The thresholds that are reported and do not gate."""
    rows = [stands(programme, evaluation, stated, why) for stated in programme.beside(phase)]
    return [
        replace(
            row,
            criterion=row.criterion.model_copy(update={"why": f"{row.criterion.why}; does not gate"}),
            clips=None,
            gates=False,
        )
        for row in rows
    ]


def stands(programme: Programme, evaluation: Evaluation | None, stated: Beside, why: str | None) -> Row:
    """A single threshold of a section against what was measured, under the name METRIC@SECTION."""
    better = programme.metrics[stated.metric].better
    bar = Bar(metric=stated.metric, better=better, target=stated.target, failure=None, section=stated.section)
    if evaluation is None:
        row = judge(bar, None, why)
    else:
        row = _row(bar, evaluation.metrics.get(stated.metric), programme, evaluation, why)
    named = {"metric": f"{stated.metric}@{stated.section}", "why": f"{stated.says}: {row.criterion.why}"}
    return replace(row, criterion=row.criterion.model_copy(update=named))


def _pins(
    programme: Programme, evaluation: Evaluation, pins: Mapping[str, JsonValue], profile: str, rows: list[Row]
) -> dict[str, JsonValue]:
    """All that this decision stands on: whoever has these can take it again."""
    expected = {key: pins[key] for key in PINNED if key in pins and pins[key] != getattr(evaluation, key)}
    given = {key: value for key, value in pins.items() if key not in PINNED}
    thresholds: dict[str, JsonValue] = {
        row.criterion.metric: {"gates": row.gates, **row.bar.model_dump(mode="json", exclude={"metric"})}
        for row in rows
    }
    return {
        **given,
        **({"expected": expected} if expected else {}),
        "profile": profile,
        "standins": evaluation.standins,
        "evaluation_sha256": evaluation.sha256,
        "programme_sha256": programme.sha256,
        "data_version": evaluation.data_version,
        "code_commit": evaluation.code_commit,
        "weights": dict(evaluation.weights),
        "runs": dict(evaluation.runs),
        **({"per_clip_sha256": evaluation.per_clip_sha256} if evaluation.per_clip else {}),
        "n_clips": evaluation.n_clips,
        "thresholds": thresholds,
        "beside": _companions(evaluation, rows),
    }


def _companions(evaluation: Evaluation, rows: list[Row]) -> dict[str, JsonValue]:
    """What each gating number is to be read beside: its ceiling, its null, the gain over that, the captioner's own."""
    names = [f"{row.bar.metric}_{beside}" for row in rows if row.gates for beside in BESIDE]
    return {name: evaluation.metrics[name].document() for name in names if name in evaluation.metrics}
