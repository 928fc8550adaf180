"""config/programme.yaml as a typed, closed, frozen value: phases and thresholds, budget, timeline, risks.

Every number keeps the section of the proposal that states it. Where sections disagree, the strictest target governs
(design §4.6); what that rule does not resolve is refused here, by name.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, StringConstraints, model_validator

from orchestration.documents import Action, MetricName, Phase, sha256
from orchestration.programme_file import read

DEFAULT_PATH = Path(__file__).resolve().parents[1] / "config" / "programme.yaml"

Section = Annotated[str, StringConstraints(pattern=r"^(\d+\.\d+|[A-D]\.\d+|house)$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Probability = Annotated[float, Field(ge=0, le=1)]
Level = Literal["low", "medium", "high"]
Stream = Literal["vlm_only", "dino_only"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Metric(Part):
    """What a number must be before it may gate."""

    title: Text
    better: Literal["higher", "lower"]
    unit: str = ""
    least: float | None = None
    most: float | None = None
    min_n: PositiveInt
    counts: Literal["clips", "timings"] = "clips"


class Threshold(Part):
    """What one section of the proposal asks of one metric."""

    section: Section
    target: float
    failure: float | None = None


class Beside(Part):
    """A threshold that is reported in the decision and does not gate."""

    section: Section
    metric: MetricName
    target: float
    says: Text


class SingleStream(Part):
    """ "Combined exceeds single-stream": gains of the hybrid over each stream's arm, and the margins it must keep."""

    section: Section
    exceeds: dict[Stream, list[MetricName]]
    keeps: dict[Stream, dict[MetricName, PositiveFloat]]


class DecisionPoint(Part):
    """When a gate stands, and what GO and NO_GO are called there."""

    section: Section
    week: PositiveInt
    go: Action
    no_go: Action


class Finding(Part):
    section: Section
    says: Text


class PhasePlan(Part):
    name: Text
    purpose: Text
    section: Section
    decision: DecisionPoint
    criteria: dict[MetricName, Annotated[list[Threshold], Field(min_length=1)]]
    beside: list[Beside] = []
    single_stream: SingleStream | None = None
    if_it_fails: Finding | None = None


class GateRules(Part):
    section: Section
    standins_decide: list[Text]


class Warn(Part):
    section: Section
    at: PositiveFloat


class Price(Part):
    section: Section
    usd_per_hour: float = Field(ge=0)


class GpuHours(Part):
    section: Section
    phases: dict[Phase, PositiveFloat]
    warn: Warn
    price: Price


class Storage(Part):
    section: Section
    phases: dict[Phase, PositiveFloat]
    features: Warn


class Money(Part):
    section: Section
    compute_usd: PositiveFloat
    storage_usd: PositiveFloat
    total_usd: PositiveFloat


class Vram(Part):
    section: Section
    inference: PositiveFloat
    training: PositiveFloat


class Heartbeat(Part):
    section: Section
    expires_after_minutes: PositiveFloat


class Budget(Part):
    gpu_hours: GpuHours
    storage_gb: Storage
    money: Money
    vram_gb: Vram
    heartbeat: Heartbeat


class Step(Part):
    name: Text
    weeks: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    after: Text | None = None


class Timeline(Part):
    section: Section
    steps: list[Step]
    total_weeks: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        seen: set[str] = set()
        for step in self.steps:
            if step.after is not None and step.after not in seen:
                raise ValueError(f"step {step.name!r} comes after {step.after!r}, which is not a step above it")
            if step.weeks[0] > step.weeks[1]:
                raise ValueError(f"step {step.name!r}: weeks {step.weeks} run backwards")
            seen.add(step.name)
        return self


class Risk(Part):
    section: Section
    risk: Text
    probability: Probability
    level: Level
    impact: Level
    mitigation: Text


class WorstCase(Part):
    section: Section
    probability: Probability
    fallbacks: list[Text]


class Bar(Part):
    """The threshold that governs one row of a decision, once the sections are reconciled."""

    metric: MetricName
    better: Literal["higher", "lower"]
    target: float
    failure: float | None
    section: Section

    @property
    def sign(self) -> int:
        return 1 if self.better == "higher" else -1


class Programme(Part):
    schema_: Literal["foresight.programme/1"] = Field(alias="schema")
    title: Text
    metrics: dict[MetricName, Metric]
    gate: GateRules
    phases: dict[Phase, PhasePlan]
    budget: Budget
    timeline: Timeline
    risks: list[Risk]
    worst_case: WorstCase

    @functools.cached_property
    def sha256(self) -> str:
        return sha256(self.model_dump(mode="json", by_alias=True))

    def bars(self, phase: Phase) -> list[Bar]:
        """The governing threshold of each criterion of a phase: strictest target, the failure threshold beside it."""
        return [self._bar(phase, name) for name in self.phases[phase].criteria]

    def _bar(self, phase: Phase, name: MetricName) -> Bar:
        where, stated, better = f"phase {phase}, {name}", self.phases[phase].criteria[name], self.metrics[name].better
        sign = 1 if better == "higher" else -1
        governing = max(stated, key=lambda threshold: sign * threshold.target)  # the first of equals
        failures = {threshold.failure: threshold.section for threshold in stated if threshold.failure is not None}
        if len(failures) > 1:
            both = " and ".join(f"{value:g} (§{section})" for value, section in failures.items())
            raise ValueError(f"{where}: two failure thresholds, {both}; no rule says which governs, keep one")
        failure = next(iter(failures), None)
        if failure is not None and sign * failure > sign * governing.target:
            raise ValueError(
                f"{where}: failure {failure:g} lies on the good side of target {governing.target:g}"
                f" (§{governing.section}), and {better} is better; a value between them would be both GO and NO_GO"
            )
        return Bar(metric=name, better=better, target=governing.target, failure=failure, section=governing.section)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if missing := {1, 2, 3} - set(self.phases):
            raise ValueError(f"phases: {sorted(missing)} missing; allowed: exactly 1, 2, 3")
        for number, plan in self.phases.items():
            streams = plan.single_stream
            compared = [] if streams is None else [*streams.exceeds.values(), *streams.keeps.values()]
            used = [
                *plan.criteria,
                *(row.metric for row in plan.beside),
                *(name for names in compared for name in names),
            ]
            if unknown := sorted(set(used) - set(self.metrics)):
                raise ValueError(
                    f"phase {number}: {', '.join(unknown)} not under `metrics`; allowed: {', '.join(self.metrics)}"
                )
            self.bars(number)
        return self


def load(path: Path | None = None) -> Programme:
    """The programme in a file, or ProgrammeError in one line."""
    return read(path or DEFAULT_PATH, Programme)
