"""The project as a whole (§6.4), and what follows when it fails (§4.3): pure functions like the gates themselves.

Success is three things: Gate 1's criteria are met by the full system, the VLM's temporal and semantic strengths are
maintained (the hybrid against the VLM alone, on the same clips), and latency and VRAM allow deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, JsonValue

from orchestration.documents import Criterion, Decision, Document, Evaluation, Phase, Verdict
from orchestration.gates import gate, nulls
from orchestration.gates.comparison import over
from orchestration.plan.programme import Bar, Programme


class Overall(Document):
    """§6.4's verdict, with every row that led to it, what each gate said, and the next step where it failed."""

    schema_: Literal["foresight.overall/1"] = Field(alias="schema")
    verdict: Verdict
    criteria: tuple[Criterion, ...]
    gates: dict[Phase, Verdict | None]
    next_step: str | None
    pins: dict[str, JsonValue]


def judge(
    programme: Programme,
    evaluations: Mapping[Phase, Evaluation],
    decisions: Mapping[Phase, Decision],
    *,
    profile: str | None = None,
) -> Overall:
    """§6.4 on the evaluations that stand; a phase that was not evaluated leaves its rows INCONCLUSIVE.

    Args:
        profile: the profile that is asked for; that of the newest phase's evaluation by default.
    """
    if profile is None and evaluations:
        profile = evaluations[max(evaluations)].profile
    rows = [*_stated(programme, evaluations, profile), *_maintained(programme, evaluations, profile)]
    verdict = gate.worst([row.criterion.outcome for row in rows])
    gates: dict[Phase, Verdict | None] = {
        phase: decisions[phase].verdict if phase in decisions else None for phase in programme.phases
    }
    failed: list[Phase] = [phase for phase, said in gates.items() if said == "NO_GO"]
    if verdict == "NO_GO" and not failed:
        maintained = [row.criterion.metric for row in rows if row.criterion.outcome == "NO_GO"]
        overall = programme.overall
        failed = [overall.maintains.phase if all("_gain@" in name for name in maintained) else overall.phase]
    thresholds: dict[str, JsonValue] = {
        row.criterion.metric: {"gates": True, **row.bar.model_dump(mode="json", exclude={"metric"})} for row in rows
    }
    body = {
        "schema": "foresight.overall/1",
        "verdict": verdict,
        "criteria": tuple(row.criterion for row in rows),
        "gates": gates,
        "next_step": next_step(programme, failed[0]) if failed else None,
        "pins": {
            "profile": profile,
            "standins": any(one.standins for one in evaluations.values()),
            "programme_sha256": programme.sha256,
            "evaluations": {str(phase): one.sha256 for phase, one in evaluations.items()},
            "thresholds": thresholds,
        },
    }
    return Overall.model_validate(body)


def next_step(programme: Programme, phase: Phase) -> str:
    """What a phase's failure shows, and the fallback that then comes first (§4.3), in one line."""
    finding, worst = programme.phases[phase].if_it_fails, programme.worst_case
    fallback = worst.fallbacks[finding.fallback - 1]
    says = f"{finding.says[0].lower()}{finding.says[1:]}"
    return f"Phase {phase} shows that {says}. Next, fallback {finding.fallback} of §{worst.section}: {fallback}."


def _stated(programme: Programme, evaluations: Mapping[Phase, Evaluation], profile: str | None) -> list[gate.Row]:
    """Gate 1's criteria and deployment, of the full system."""
    overall = programme.overall
    evaluation, why = evaluations.get(overall.phase), f"phase {overall.phase} not evaluated"
    if evaluation is not None:
        why = gate.untrusted(programme, evaluation, {}, profile or evaluation.profile, overall.phase)
    return [gate.stands(programme, evaluation, stated, why) for stated in overall.criteria]


def _maintained(programme: Programme, evaluations: Mapping[Phase, Evaluation], profile: str | None) -> list[gate.Row]:
    """No significant regression of what the VLM alone is strong in."""
    rule, rows = programme.overall.maintains, []
    evaluation, whole = evaluations.get(rule.phase), evaluations.get(programme.overall.phase)
    for name, margin in rule.margins.items():
        bar = Bar(metric=f"{name}_gain", better="higher", target=-margin, failure=-margin, section=rule.section)
        if evaluation is None:
            value, why = None, f"phase {rule.phase} not evaluated"
        else:
            value, why = over(programme, evaluation, rule.arm, name)
            foreign = why or nulls.useless(name, evaluation)
            why = gate.untrusted(programme, evaluation, {}, profile or evaluation.profile, rule.phase) or foreign
            if whole is not None and whole.data_version != evaluation.data_version:
                why = f"stale: phase {programme.overall.phase} was evaluated on other data than phase {rule.phase}"
        rows.append(gate.judge(bar, value, why, f"{name}_gain@{rule.arm}"))
    return rows
