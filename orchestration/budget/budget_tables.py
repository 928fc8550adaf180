"""The budget as a terminal shows it; `orchestration/budget/account.py` and `storage.py` say what the numbers are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestration.display import clock
from orchestration.terminal import wide

if TYPE_CHECKING:
    from rich.table import Table

SHOWN_FORECASTS = 8


def print_budget(found: Mapping[str, Any]) -> None:
    """Print all of it, for 100 columns."""

    console = wide()
    console.print(_hours(found))
    warning = found["warning"]
    if warning["passed"]:
        console.print(f"Warning: past the {warning['at_gpu_hours']:g} GPU-hours of §{warning['section']}.\n")
    if found["reservations"]:
        console.print(_sums(found))
    for one in found["reservations"]:
        if "forecast" in one:
            console.print(_going_on(one))
    for one in found["waiting"]:
        console.print(_waiting(one))
    if any(one["forecast_error"] is not None for one in found["reservations"]):
        console.print(_foreseen(found))
    stored = found["storage"]
    console.print(_storage(stored))
    console.print(
        f"Projected: {stored['projected_clips']:,} clips at the measured bytes a clip"
        + (", which are stand-ins' and smaller than the real ones'." if stored["standins"] else ".")
    )


def ahead(found: Mapping[str, Any]) -> str:
    """Hours to come, with their interval as far as it is known."""
    if found["hours"] is None and not found["low"]:
        return "nothing measured yet"
    if found["hours"] is None:
        return f"at least {_hour(found['low'])}"
    if found["high"] is None:
        return f"about {_hour(found['hours'])}, too little measured for an interval"
    return f"{_hour(found['hours'])} ({_hour(found['low'])} .. {_hour(found['high'])})"


def _hours(found: Mapping[str, Any]) -> "Table":
    table = _table("GPU-hours", "phase", "cap", "used", "reserved", "left", "USD", "of USD", "CPU-hours")
    for row in found["phases"]:
        names = ("cap_gpu_hours", "used_gpu_hours", "reserved_gpu_hours", "left_gpu_hours", "used_usd", "cap_usd")
        numbers = (f"{row[name]:.4g}" for name in names)
        table.add_row(f"{row['phase']} (§{row['section']})", *numbers, f"{row['cpu_hours']:.3f}")
    table.add_section()
    totals = (f"{found[name]:.4g}" for name in ("used_gpu_hours", "reserved_gpu_hours"))
    money = (f"{found[name]:.4g}" for name in ("used_usd", "cap_usd"))
    table.add_row("all", "", *totals, "", *money, f"{found['cpu_hours']:.3f}")
    return table


def _sums(found: Mapping[str, Any]) -> "Table":
    table = _table("By experiment and by person", "", "GPU-hours", "wall-clock hours", "USD")
    for group in ("experiments", "people"):
        for name, sums in found[group].items():
            table.add_row(name, f"{sums['gpu_hours']:.4g}", f"{sums['wall_hours']:.3f}", f"{sums['usd']:.4g}")
        table.add_section()
    return table


def _going_on(one: Mapping[str, Any]) -> str:
    here, gate = one["forecast"], one["until_gate"]
    said = f"{one['key']} by {one['person'] or 'unnamed'}, {one['max_hours']:g} h reserved; to go: {ahead(here)}"
    said += f"; enough: {here['enough']}"
    measured = "" if gate["evaluations_measured"] else ", its evaluation not measured yet"
    left = "no cap on a CPU" if gate["left_hours"] is None else f"{gate['left_hours']:.4g} h left in the phase"
    return f"{said}\n  until the gate: {ahead(gate)}{measured}; {left}; enough: {gate['enough']}"


def _waiting(one: Mapping[str, Any]) -> str:
    return (
        f"[bold]{one['work']}[/] stopped at the end of its {one['max_hours']:.3g} h and asks for {ahead(one['needs'])};"
        f"\n  foresight budget approve {one['work']} --hours H --by NAME --why REASON"
    )


def _foreseen(found: Mapping[str, Any]) -> "Table":
    table = _table("Foreseen and true", "run", "foreseen after", "hours of the whole", "it took", "error")
    known = [one for one in found["reservations"] if one["forecast_error"] is not None]
    for one in known[-SHOWN_FORECASTS:]:
        first = one["foreseen"][0]
        within = first["low"] <= one["wall_hours"] <= first["high"]
        error = f"{one['forecast_error']:+.0%}{'' if within else ', outside'}"
        after = f"{first['reached']} of {first['steps']} steps"
        table.add_row(one["key"], after, ahead(first), _hour(one["wall_hours"]), error)
    return table


def _storage(found: Mapping[str, Any]) -> "Table":
    table = _table("Storage in GB", "cap of", "cap", "stored", "projected", "verdict")
    rows = [(f"phase {row['phase']} (§{row['section']})", row) for row in found["phases"]]
    rows.append((f"DINOv2 features (§{found['features']['section']})", found["features"]))
    for name, row in rows:
        projected = "" if row["projected_gb"] is None else f"{row['projected_gb']:.4g}"
        table.add_row(name, f"{row['cap_gb']:g}", f"{row['used_gb']:.3f}", projected, row["verdict"] or "not measured")
    table.add_section()
    table.add_row("clips, shards, copies, MLflow", "", f"{found['beside_gb']:.3f}", "", "")
    return table


def _table(title: str, *columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    return table


def _hour(hours: float) -> str:
    """Hours, or what is easier to read where they are few."""
    return f"{hours:.2f} h" if hours >= 1 else clock(hours * 3600)
