"""config/programme.yaml as a typed, closed, frozen value: phases and thresholds, budget, timeline, risks.

Every number keeps the section of the proposal that states it. Where sections disagree, the strictest target governs
(design §4.6); what that rule does not resolve is refused here, by name.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from orchestration.documents import Action, MetricName, Phase, sha256
from orchestration.plan.contradictions import contradictions
from orchestration.plan.programme_file import read

DEFAULT_PATH = Path(__file__).resolve().parents[2] / "config" / "programme.yaml"

SECTIONS = {"1": 5, "2": 3, "3": 4, "4": 4, "5": 7, "6": 4, "7": 4, "A": 3, "B": 3, "C": 4, "D": 2}
"""The proposal's chapters, and how many sections each has."""


def _section(name: str) -> str:
    chapter, _, number = name.partition(".")
    if name != "house" and number not in map(str, range(1, SECTIONS.get(chapter, 0) + 1)):
        allowed = ", ".join(f"{chapter}.1-{chapter}.{count}" for chapter, count in SECTIONS.items())
        raise ValueError(f"the proposal has no section {name!r}; allowed: {allowed}, or house for a rule of our own")
    return name


Section = Annotated[str, AfterValidator(_section)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Probability = Annotated[float, Field(ge=0, le=1)]
Level = Literal["low", "medium", "high"]
Stream = Literal["vlm_only", "dino_only"]
Signal = Literal["spatial_metrics", "fusion_gains", "latency", "instability", "interference", "phase1_overdue"]


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
    peak: bool = False
    """A maximum, not a mean: it has no interval, its value stands for itself."""
    protocol: Annotated[list[Text], Field(min_length=1)]
    """Words that the protocol of the number must have, in any case."""

    def foreign(self, protocol: str) -> list[str]:
        """The words that a protocol lacks; none: it is this metric's."""
        return [word for word in self.protocol if word.lower() not in protocol.lower()]


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
    """What a phase's failure shows, and which fallback of the worst case is then the next step, counted from 1."""

    section: Section
    says: Text
    fallback: PositiveInt


class PhasePlan(Part):
    name: Text
    purpose: Text
    section: Section
    decision: DecisionPoint
    criteria: dict[MetricName, Annotated[list[Threshold], Field(min_length=1)]]
    beside: list[Beside] = []
    single_stream: SingleStream | None = None
    if_it_fails: Finding


class Maintains(Part):
    """No significant regression: what the hybrid may lose to an arm, per metric, on the clips of a phase."""

    section: Section
    phase: Phase
    arm: Stream
    margins: dict[MetricName, PositiveFloat]


class OverallPlan(Part):
    """When the project as a whole is a success (§6.4)."""

    section: Section
    phase: Phase
    criteria: Annotated[list[Beside], Field(min_length=1)]
    maintains: Maintains


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
    before: Warn
    price: Price


class Storage(Part):
    section: Section
    phases: dict[Phase, PositiveFloat]
    features: Warn
    before: Warn


class Money(Part):
    section: Section
    compute_usd: PositiveFloat
    storage_usd: PositiveFloat
    total_usd: PositiveFloat


class Vram(Part):
    section: Section
    inference: PositiveFloat
    training: PositiveFloat


class TrainableParameters(Part):
    """Of the fusion: what is promised, and what the budget allows at most."""

    section: Section
    promised: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    most: PositiveInt


class Heartbeat(Part):
    section: Section
    expires_after_minutes: PositiveFloat


class Budget(Part):
    gpu_hours: GpuHours
    storage_gb: Storage
    money: Money
    vram_gb: Vram
    trainable_parameters: TrainableParameters
    heartbeat: Heartbeat


class Step(Part):
    name: Text
    weeks: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    after: Text | None = None
    phase: Phase | None = None


class Timeline(Part):
    section: Section
    timezone: Text
    steps: list[Step]
    total_weeks: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]


class Risk(Part):
    section: Section
    risk: Text
    probability: Probability
    level: Level
    impact: Level
    mitigation: Text
    signal: Signal | None = None


class RiskSignals(Part):
    """When what the record shows is a sign that a risk has come true."""

    section: Section
    early_share: Probability
    early_fall: Probability
    window: PositiveInt
    spike: PositiveFloat
    spikes: PositiveInt
    divergence: PositiveFloat
    opposed: Annotated[float, Field(ge=-1, le=1)]
    cosines: PositiveInt
    shut: Probability


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
    overall: OverallPlan
    budget: Budget
    timeline: Timeline
    risks: list[Risk]
    risk_signals: RiskSignals
    worst_case: WorstCase

    @functools.cached_property
    def sha256(self) -> str:
        return sha256(self.model_dump(mode="json", by_alias=True))

    def bars(self, phase: Phase) -> list[Bar]:
        """The governing threshold of each criterion of a phase: strictest target, the failure threshold beside it."""
        return [self._bar(phase, name) for name in self.phases[phase].criteria]

    def beside(self, phase: Phase) -> list[Beside]:
        """What is reported at a phase and does not gate there: its own, and the project's where it is judged there."""
        return [*self.phases[phase].beside, *(self.overall.criteria if phase == self.overall.phase else ())]

    def _bar(self, phase: Phase, name: MetricName) -> Bar:
        stated, better = self.phases[phase].criteria[name], self.metrics[name].better
        sign = 1 if better == "higher" else -1
        governing = max(stated, key=lambda threshold: sign * threshold.target)  # the first of equals
        failure = next((threshold.failure for threshold in stated if threshold.failure is not None), None)
        return Bar(metric=name, better=better, target=governing.target, failure=failure, section=governing.section)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for where, what in contradictions(self):
            raise PydanticCustomError("contradiction", "{what}", {"what": what, "at": where})
        return self


def load(path: Path | None = None) -> Programme:
    """The programme in a file, or ProgrammeError in one line."""
    return read(path or DEFAULT_PATH, Programme)
