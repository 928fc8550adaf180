"""The risks of §4.1 and §4.2 against what the record shows: open, triggered or retired, each with the reason (§4).

A pure function of the programme and of the signals: decisions that stand, what each run measured at each step, and the
timeline. A risk is triggered when its signal has come, retired when what it threatened has been decided well, and open
until then. One without a signal is watched by people and says so. The mitigation of the proposal is the next step.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestration.documents import Criterion, Decision
from orchestration.plan.programme import Programme, Risk, RiskSignals
from orchestration.plan.timeline import Timeline

State = Literal["open", "triggered", "retired"]
Rows = Sequence[Mapping[str, float]]
SPATIAL = ("spatial_iou", "bbox_iou", "edge_f1")
COSINE = "gradient_cosine"
"""What a run's history calls the cosine between the gradients of the two streams, at the steps that measured it."""
HELD_OUT = "heldout_latent"
"""What it calls the loss of Phase 1 on held-out clips."""


@dataclass(frozen=True)
class Training:
    """One run of a phase: what it measured at each step so far, of how many steps, and whether a number was none."""

    phase: int
    arm: str
    history: Rows
    steps: int
    non_finite: bool = False


@dataclass(frozen=True)
class Signals:
    """All that the states follow from."""

    timeline: Timeline
    decisions: Mapping[int, Decision] = field(default_factory=dict)
    """The decision that stands, by phase."""
    trainings: Sequence[Training] = ()


@dataclass(frozen=True)
class RiskState:
    """How it stands with one risk."""

    risk: Risk
    state: State
    why: str

    @property
    def next_step(self) -> str | None:
        """What the proposal would do about it, once it is triggered."""
        return self.risk.mitigation if self.state == "triggered" else None


Said = tuple[State, str]


def assess(programme: Programme, signals: Signals) -> list[RiskState]:
    """Every risk of the programme in its order."""
    rules: Mapping[str, Callable[[Programme, Signals], Said]] = {
        "spatial_metrics": _spatial,
        "fusion_gains": _fusion,
        "latency": _latency,
        "instability": _instability,
        "interference": _interference,
        "phase1_overdue": _overdue,
    }
    watched: Said = ("open", "no signal: people watch it")
    said = [rules[risk.signal](programme, signals) if risk.signal else watched for risk in programme.risks]
    return [RiskState(risk, state, why) for risk, (state, why) in zip(programme.risks, said, strict=True)]


def _spatial(programme: Programme, signals: Signals) -> Said:
    """Phase 1's spatial criteria; before they are decided, whether its loss falls in the early steps."""
    if 1 in signals.decisions:
        return _of_rows(signals.decisions[1], SPATIAL)
    runs = [run for run in signals.trainings if run.phase == 1 and run.history]
    return _early(runs[0], programme.risk_signals) if runs else ("open", "Phase 1 has not begun")


def _early(run: Training, limits: RiskSignals) -> Said:
    """On held-out clips: a loss over training batches says too little of so few steps."""
    losses = [row[HELD_OUT] for row in run.history if HELD_OUT in row]
    done = len(run.history)
    if done < limits.early_share * run.steps or len(losses) < 2:
        return "open", f"step {done} of {run.steps}: too early to tell"
    fall = 1 - losses[-1] / losses[0]
    way = "fallen" if fall >= 0 else "risen"
    said = f"after {done} of {run.steps} steps its held-out loss has {way} by {abs(fall):.1%}"
    if fall < limits.early_fall:
        return "triggered", f"{said}; {limits.early_fall:.0%} were to be seen by then"
    return "open", said


def _fusion(programme: Programme, signals: Signals) -> Said:
    """Whether the hybrid exceeds each stream where it is blind (§4.4)."""
    streams = programme.phases[2].single_stream
    names = [f"{name}_gain@{arm}" for arm, found in streams.exceeds.items() for name in found] if streams else []
    return _of_rows(signals.decisions[2], names) if 2 in signals.decisions else ("open", "Phase 2 is not decided")


def _interference(programme: Programme, signals: Signals) -> Said:
    """Whether the hybrid keeps what each stream is strong in, shuts neither out, and their gradients agree."""
    limits, streams = programme.risk_signals, programme.phases[2].single_stream
    for run in signals.trainings:
        if (run.phase, run.arm) != (2, "hybrid"):
            continue
        cosines = [row[COSINE] for row in run.history if COSINE in row][-limits.cosines :]
        if len(cosines) == limits.cosines and (mean := statistics.fmean(cosines)) < limits.opposed:
            return (
                "triggered",
                f"{_name(run)}: the streams' gradients oppose each other, with a mean cosine of {mean:.2f}",
            )
        for stream in ("spatial", "semantic"):
            if (widest := _widest(run.history, stream)) is not None and widest < limits.shut:
                return "triggered", f"{_name(run)}: no layer lets in more than {widest:.0%} of the {stream} stream"
    names = [f"{name}_gain@{arm}" for arm, found in streams.keeps.items() for name in found] if streams else []
    return _of_rows(signals.decisions[2], names) if 2 in signals.decisions else ("open", "Phase 2 is not decided")


def _widest(history: Rows, stream: str) -> float | None:
    """The widest gate of a stream over the layers, as last measured (`gate/STREAM/LAYER`, 0 to 1)."""
    for row in reversed(history):
        if gates := [value for name, value in row.items() if name.startswith(f"gate/{stream}/")]:
            return max(gates)
    return None


def _latency(programme: Programme, signals: Signals) -> Said:
    if 3 not in signals.decisions:
        return "open", "Phase 3 is not decided"
    state, why = _of_rows(signals.decisions[3], ("latency_s",))
    row = next((row for row in signals.decisions[3].criteria if row.metric == "latency_s"), None)
    if state == "open" and row is not None and row.outcome == "MARGINAL":
        return "triggered", f"latency_s: {row.why}"
    return state, why


def _instability(programme: Programme, signals: Signals) -> Said:
    """In the phases of two encoders: numbers that are none, gradients that leap, a loss far above its best."""
    limits, worst = programme.risk_signals, 0.0
    runs = [run for run in signals.trainings if run.phase >= 2]
    for run in runs:
        if run.non_finite:
            return "triggered", f"{_name(run)}: a loss or gradient was no number after step {len(run.history)}"
        leaps = _leaps(run.history, limits.window)
        if (many := sum(leap > limits.spike for leap in leaps)) >= limits.spikes:
            return "triggered", f"{_name(run)}: {many} steps with a gradient over {limits.spike:g} times the usual"
        if (rise := _rise(run.history, limits.window)) > limits.divergence:
            return "triggered", f"{_name(run)}: its loss ends at {rise:.1f} times its lowest"
        worst = max([worst, *leaps])
    if not runs:
        return "open", "no phase with both encoders has begun"
    seen = f"{sum(len(run.history) for run in runs)} steps, the largest gradient {worst:.1f} times the usual"
    return ("retired", f"all phases are trained: {seen}") if 3 in signals.decisions else ("open", seen)


def _overdue(programme: Programme, signals: Signals) -> Said:
    row = next((row for row in signals.timeline.rows if row.phase == 1), None)
    if row is None:
        return "open", "the timeline has no step of Phase 1"
    if row.due is None:
        return "open", "nothing has begun"
    if row.state == "late":
        week = programme.phases[1].decision.week
        return "triggered", f"due by {row.due:%d %b %Y} (week {week}), not through its gate"
    if row.ended is None:
        return "open", f"due by {row.due:%d %b %Y}"
    late = (row.ended - row.due).days
    return "retired", f"through its gate on {row.ended:%d %b %Y}" + (f", {late} days late" if late > 0 else ", in time")


def _of_rows(decision: Decision, names: Sequence[str]) -> Said:
    """Triggered by one NO_GO among the rows, retired when all are GO."""
    rows = [row for row in decision.criteria if row.metric in names]
    on = " (stand-ins)" if decision.pins.get("standins") else ""
    failed = [row for row in rows if row.outcome == "NO_GO"]
    if failed:
        return "triggered", "; ".join(f"{row.metric}: {row.why}" for row in failed) + on
    unsettled = [row for row in rows if row.outcome != "GO"]
    if unsettled or not rows:
        said = ", ".join(f"{row.metric} {row.outcome}" for row in unsettled) or "not measured"
        return "open", f"Phase {decision.phase}: {said}{on}"
    return "retired", f"Phase {decision.phase}: {_list(rows)} GO{on}"


def _list(rows: Sequence[Criterion]) -> str:
    return ", ".join(row.metric for row in rows)


def _leaps(history: Rows, window: int) -> list[float]:
    """Each step's gradient norm over the median of the window before it, among steps whose loss has the same terms."""
    found: list[float] = []
    for with_pixels in (False, True):
        norms = [row["grad_norm"] for row in history if "grad_norm" in row and ("pixel" in row) is with_pixels]
        medians = (statistics.median(norms[at - window : at]) for at in range(window, len(norms)))
        found += [norm / median for norm, median in zip(norms[window:], medians, strict=True) if median > 0]
    return found


def _rise(history: Rows, window: int) -> float:
    """The mean loss of the last window over the lowest of all whole windows; 1 where there are fewer than two."""
    losses = [row["loss"] for row in history if "loss" in row]
    whole = [statistics.fmean(losses[at : at + window]) for at in range(0, len(losses) - window + 1, window)]
    if len(whole) < 2 or min(whole) <= 0:
        return 1.0
    return statistics.fmean(losses[-window:]) / min(whole)


def _name(run: Training) -> str:
    return f"Phase {run.phase}" + (f", {run.arm}" if run.arm else "")
