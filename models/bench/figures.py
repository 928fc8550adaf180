"""The figures of a run on a GPU, as its JSON holds them, and the goals that they are held against."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.evaluation.latency import Latency

P50_FIRST, P50_THEN = 1.5, 0.7
"""Seconds: §6.4's target, and half of Appendix D.1's total."""
INFERENCE_GB, TRAINING_GB = 33, 43
"""§3.1's totals."""
WHOLE = ("whole, serial", "whole, parallel streams")


@dataclass(frozen=True)
class CallFigure:
    """Time and memory of one component's calls, or of the whole's."""

    name: str
    p50_s: float
    p95_s: float
    calls: int
    peak_gb: float
    reserved_gb: float | None
    """None where there is no GPU."""
    own_gb: float | None
    """Its weights and what the calls needed beside all that was loaded, as D.1 counts it; None without a GPU."""
    memory: str
    """Which memory `peak_gb` is."""


@dataclass(frozen=True)
class PhaseFigure:
    """Time and memory of one phase's steps."""

    name: str
    s_per_step: float
    steps: int
    """That the mean is of."""
    batch: int
    trainable_parameters: int
    peak_gb: float | None
    """None where there is no GPU."""
    reserved_gb: float | None


@dataclass(frozen=True)
class LeftOut:
    """What could not be measured here."""

    what: str
    why: str


@dataclass(frozen=True)
class Goal:
    """A promise and what was measured of it."""

    name: str
    limit: float
    unit: str
    value: float | None
    met: bool | None
    """None where this run cannot say."""


def call_figure(name: str, found: Latency, own_gb: float | None) -> CallFigure:
    """The figure of measured calls."""
    p50, p95 = found.metric(0.5).value, found.metric(0.95).value
    assert p50 is not None
    assert p95 is not None
    memory = (found.allocated_gb, found.reserved_gb, own_gb, found.memory)
    return CallFigure(name, p50, p95, len(found.seconds), *memory)


def goals(calls: Sequence[CallFigure], phases: Sequence[PhaseFigure], *, judged: bool) -> list[Goal]:
    """The goals, `judged` at true size only: of the faster way through the whole, and of all memory reserved."""
    wholes = [call for call in calls if call.name in WHOLE]
    p50 = min((call.p50_s for call in wholes), default=None)
    inference = max((call.reserved_gb for call in wholes if call.reserved_gb is not None), default=None)
    training = max((phase.reserved_gb for phase in phases if phase.reserved_gb is not None), default=None)
    held = (
        ("inference p50, first", P50_FIRST, "s", p50),
        ("inference p50, then", P50_THEN, "s", p50),
        ("inference memory", INFERENCE_GB, "GB", inference),
        ("training memory", TRAINING_GB, "GB", training),
    )
    return [
        Goal(name, limit, unit, value, value < limit if judged and value is not None else None)
        for name, limit, unit, value in held
    ]
