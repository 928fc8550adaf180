"""What an evaluation of Phase 2 is worth by a fallback's criteria: a document of its own, never a gate's decision.

The gate's own function judges, on the programme that the fallback declares. Nothing of it enters the record of
decisions, so it opens no phase; a phase starts by the proposal's gate or by a person's override alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from models.data import write_durably
from orchestration.documents import Criterion, Document, DocumentError, Evaluation, Verdict, split_name
from orchestration.fallbacks.declaration import Fallback
from orchestration.gates import gate
from orchestration.plan.programme import Programme

SHARED = "true"
"""The qualifier of what says something of a measure and not of an arm: how it does on true clips."""


class FallbackVerdict(Document):
    """A fallback's verdict with every row that led to it."""

    schema_: Literal["foresight.fallback_verdict/1"] = Field(alias="schema")
    name: str
    title: str
    fallback: str
    """The proposal's words for it."""
    arm: str
    verdict: Verdict
    standins: bool
    criteria: tuple[Criterion, ...]
    aside: dict[str, str]
    gate_verdict: Verdict
    """What the proposal's own gate says of the same evaluation."""
    pins: dict[str, JsonValue]


def judge(fallback: Fallback, given: Programme, evaluation: Evaluation) -> FallbackVerdict:
    """The verdict on the fallback's arm.

    Raises:
        ProgrammeError: the fallback does not fit the programme.
        DocumentError: the evaluation is of another phase, or lacks the arm.
    """
    if evaluation.phase != fallback.phase:
        raise DocumentError(f"fallback {fallback.name}: judges phase {fallback.phase}, not {evaluation.phase}")
    decided = gate.decide(fallback.programme(given), of_arm(evaluation, fallback))
    pins = {key: value for key, value in decided.pins.items() if key not in ("evaluation_sha256", "programme_sha256")}
    return FallbackVerdict(
        schema="foresight.fallback_verdict/1",  # type: ignore[call-arg]
        name=fallback.name,
        title=fallback.title,
        fallback=given.worst_case.fallbacks[fallback.fallback - 1],
        arm=fallback.arm,
        verdict=decided.verdict,
        standins=evaluation.standins,
        criteria=decided.criteria,
        aside=dict(fallback.aside),
        gate_verdict=gate.decide(given, evaluation).verdict,
        pins={
            **pins,
            "evaluation_sha256": evaluation.sha256,
            "fallback_sha256": fallback.sha256,
            "programme_sha256": fallback.programme(given).sha256,
            "proposal_sha256": given.sha256,
        },
    )


def of_arm(evaluation: Evaluation, fallback: Fallback) -> Evaluation:
    """The evaluation as if the fallback's arm were what is judged: its own numbers, and how measures do on true clips.

    Raises:
        DocumentError: it has no such arm.
    """
    if fallback.arm not in evaluation.arms:
        raise DocumentError(
            f"fallback {fallback.name}: this evaluation has no arm {fallback.arm}; `foresight run` evaluates all three"
        )
    if fallback.arm == "hybrid":
        return evaluation
    shared = {name: value for name, value in evaluation.metrics.items() if SHARED in split_name(name)[1]}
    return evaluation.model_copy(update={"metrics": {**shared, **evaluation.arms[fallback.arm]}})


def write(found: FallbackVerdict, folder: Path) -> Path:
    """Put the verdict beside the runs, as `fallbacks/NAME.json` in `folder`."""
    path = folder / "fallbacks" / f"{found.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, json.dumps(found.document(), indent=1).encode())
    return path
