"""Cost and time against plan: the ledger beside its caps, the run beside the timeline (§3.1, §3.2, §3.4, §D.2)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestration.report.bundle import ReportBundle
from orchestration.report.figures.curves import clock

_WIDTH = 200.0
"""Units of a bar's picture."""


@dataclass(frozen=True)
class CostLine:
    words: str
    cap: str
    spent: str
    reserved: str
    left: str
    cpu: str
    money: str
    to_spent: str
    to_reserved: str
    whole: bool = False


@dataclass(frozen=True)
class CostTable:
    lines: Sequence[CostLine]
    note: str


@dataclass(frozen=True)
class PlanLine:
    name: str
    weeks: str
    took: str
    x: str
    least: str
    most: str


def ledger(bundle: ReportBundle) -> CostTable:
    """A line a phase and one for all of them, from the ledger's own summary."""
    budget, phases = bundle.budget, bundle.budget["phases"]
    lines = [_line(f"Phase {row['phase']}", row) for row in phases]
    lines.append(_line("All phases", {key: sum(row[key] for row in phases) for key in _SUMMED}, whole=True))
    warning = budget["warning"]
    said = "passed" if warning["passed"] else "not passed"
    note = (
        f"§{warning['section']} promised {warning['at_gpu_hours']:g} GPU-hours: {said}. A GPU-hour is priced at "
        f"${budget['usd_per_gpu_hour']:g} (§{bundle.programme.budget.gpu_hours.price.section}); "
        "hours on a CPU are recorded and cost nothing."
    )
    return CostTable(lines, note)


_SUMMED = ("cap_gpu_hours", "used_gpu_hours", "reserved_gpu_hours", "left_gpu_hours", "cpu_hours", "used_usd")


def _line(words: str, row: Mapping[str, float], *, whole: bool = False) -> CostLine:
    cap, used, reserved = row["cap_gpu_hours"], row["used_gpu_hours"], row["reserved_gpu_hours"]

    def reach(hours: float) -> str:
        return f"{min(1.0, hours / cap) * _WIDTH:.1f}"

    return CostLine(
        words=words,
        cap=f"{cap:g} h",
        spent=f"{used:.1f} h",
        reserved=f"{reserved:.1f} h",
        left=f"{row['left_gpu_hours']:.1f} h",
        cpu=clock(row["cpu_hours"] * 3600) if row["cpu_hours"] else "",
        money=f"${row['used_usd']:,.2f}",
        to_spent=reach(used),
        to_reserved=reach(used + reserved),
        whole=whole,
    )


def plan(bundle: ReportBundle) -> list[PlanLine]:
    """The steps of the timeline one after another, each with the time that its stages took in this run."""
    steps = bundle.programme.timeline.steps
    end = sum(step.weeks[1] for step in steps)
    lines, start = [], 0
    for step in steps:
        least, most = step.weeks
        lines.append(
            PlanLine(
                name=step.name,
                weeks=f"{least} week{'s' if least > 1 else ''}" if least == most else f"{least} to {most} weeks",
                took=_took(bundle, step.name),
                x=f"{start / end * _WIDTH:.1f}",
                least=f"{least / end * _WIDTH:.1f}",
                most=f"{most / end * _WIDTH:.1f}",
            )
        )
        start += most
    return lines


def _took(bundle: ReportBundle, step: str) -> str:
    """The time of the phase's own stages: training, evaluation, gate. Empty when none of them was timed."""
    phase = re.match(r"Phase (\d)", step)
    if phase is None:
        return ""
    seconds = [took for stage, took in bundle.times.items() if re.match(rf"(phase|evaluation){phase[1]}(?!\d)", stage)]
    return clock(sum(seconds)) if seconds else ""
