"""Cost against plan: the ledger beside its caps (§3.1, §3.4, §D.2)."""

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
