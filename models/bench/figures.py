"""The figures of a run on a GPU, as its JSON holds them, and the goals that they are held against."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.evaluation.latency import Latency

P50_FIRST, P50_THEN = 1.5, 0.7
"""Seconds: §6.4's target, and half of Appendix D.1's total."""
INFERENCE_GB, TRAINING_GB = 33, 43
"""§3.1's totals."""
RUN_S = 600
"""Of a whole run."""
WHOLE = ("whole, serial", "whole, parallel streams")
PROPOSED = {
    "Qwen2.5-VL encoding": (0.4, 15),
    "DINOv2 encoding": (0.15, 6),
    "fusion": (0.05, 2),
    "LTX generation": (0.8, 8),
    "whole, serial": (1.4, 31),
}
"""Appendix D.1's estimates: seconds and GB."""


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


def time_goals(calls: Sequence[CallFigure], *, judged: bool) -> list[Goal]:
    """Of the faster way through the whole; `judged` at true size only, here and below."""
    p50 = min((call.p50_s for call in calls if call.name in WHOLE), default=None)
    return [
        _goal("inference p50, first", P50_FIRST, "s", p50, judged),
        _goal("inference p50, then", P50_THEN, "s", p50, judged),
    ]


def memory_goals(calls: Sequence[CallFigure], phases: Sequence[PhaseFigure], *, judged: bool) -> list[Goal]:
    """Of all memory reserved in inference, which has all networks loaded, and in the largest phase."""
    inference = max((call.reserved_gb for call in calls if call.reserved_gb is not None), default=None)
    training = max((phase.reserved_gb for phase in phases if phase.reserved_gb is not None), default=None)
    return [
        _goal("inference memory", INFERENCE_GB, "GB", inference, judged),
        _goal("training memory", TRAINING_GB, "GB", training, judged),
    ]


def run_goal(seconds: float, *, judged: bool) -> Goal:
    """Of the benchmark itself."""
    return _goal("this benchmark", RUN_S, "s", seconds, judged)


def _goal(name: str, limit: float, unit: str, value: float | None, judged: bool) -> Goal:
    return Goal(name, limit, unit, value, value < limit if judged and value is not None else None)
