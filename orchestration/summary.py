"""The end of a run: the time of each stage, the gate board, and where to look next."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestration.display import clock
from orchestration.home import Home
from orchestration.jobs import PREMISE
from orchestration.plan.programme import load as programme
from orchestration.record.opened import decisions, experiments
from orchestration.terminal import wide

if TYPE_CHECKING:
    from rich.console import Console


def print_summary(home: Home, seconds: Mapping[str, float], made: Mapping[str, bool]) -> None:
    """Print all of it."""
    from rich import box
    from rich.table import Table

    from orchestration.gates.board import criteria_table

    console = wide()
    table = Table(
        "stage", "time", "", box=box.SIMPLE_HEAD, pad_edge=False, title="Time of each stage", title_justify="left"
    )
    for stage, took in seconds.items():
        table.add_row(stage, clock(took), "" if made.get(stage, True) else "stood already")
    table.add_section()
    table.add_row("all", clock(sum(seconds.values())))
    console.print(table)
    log = decisions(home)
    _premise(console, home)
    for phase in programme().phases:
        decision = log.latest(phase)
        if decision is None:
            continue
        console.print(criteria_table(decision))
        override = log.live_override(
            phase, dataset=_text(decision.pins.get("dataset")), profile=_text(decision.pins.get("profile"))
        )
        if override and decision.verdict != "GO":
            console.print(f"[bold]Overridden[/] by {override.by}: {override.why}")
    if home.report.is_file():
        console.print(f"Report: {home.report}")
    console.print("Dagster and MLflow: `make ui`, or `foresight ui`")


def _premise(console: "Console", home: Home) -> None:
    """What the premise audits of this home came to, the last of each data set."""
    last = {one.pins["dataset"]: one for _, one in experiments(home).decisions(PREMISE)}
    for dataset, one in last.items():
        stood_in = ", for stand-ins" if one.pins["standins"] else ""
        console.print(f"Premise audit on {dataset}: [bold]{one.verdict}[/]{stood_in}")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
