"""Cost against plan: hours and storage beside their caps, and what goes on or waits for hours (§3.1, §3.4, §D.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.budget.budget_tables import ahead
from orchestration.report.bundle import ReportBundle
from orchestration.report.figures.curves import clock

_WIDTH = 200.0
"""Units of a bar's picture."""
_VERDICTS = {"within": ("within", "go"), "over": ("over", "nogo"), None: ("not measured", "open")}


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
class StorageLine:
    words: str
    cap: str
    stored: str
    projected: str
    state: str
    tone: str


@dataclass(frozen=True)
class StorageTable:
    lines: Sequence[StorageLine]
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


def storage(bundle: ReportBundle) -> StorageTable:
    """Gigabytes stored, and what so many clips would take at the measured bytes a clip, against the caps."""
    found = bundle.budget["storage"]
    lines = [_stored(f"Phase {row['phase']} (§{row['section']})", row) for row in found["phases"]]
    lines.append(_stored(f"DINOv2's features alone (§{found['features']['section']})", found["features"]))
    note = (
        f"Projected: {found['projected_clips']:,} clips at the measured bytes a clip"
        f"{', which are stand-ins and smaller than the real ones' if found['standins'] else ''}. Clips, shards, copies"
        f" and MLflow's record take {found['beside_gb']:.2f} GB more, for which the proposal has no cap."
    )
    return StorageTable(lines, note)


def going_on(bundle: ReportBundle) -> list[str]:
    """A sentence for each run that goes on, with its forecast."""
    return [
        f"{one['key']} goes on, with {one['max_hours']:.3g} h reserved; to its last step: {ahead(one['forecast'])}"
        f" (enough: {one['forecast']['enough']})."
        for one in bundle.budget["reservations"]
        if "forecast" in one
    ]


def waiting(bundle: ReportBundle) -> list[str]:
    """A sentence for each run that stopped at the end of its hours."""
    return [
        f"{one['work']} stopped at the end of its {one['max_hours']:.3g} h and waits for a person; to its last step:"
        f" {ahead(one['needs'])}."
        for one in bundle.budget["waiting"]
    ]


def _stored(words: str, row: Mapping[str, Any]) -> StorageLine:
    state, tone = _VERDICTS[row["verdict"]]
    projected = "" if row["projected_gb"] is None else f"{row['projected_gb']:.3g} GB"
    return StorageLine(words, f"{row['cap_gb']:g} GB", f"{row['used_gb']:.3f} GB", projected, state, tone)


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
