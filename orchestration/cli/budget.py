"""`foresight budget`: the ledger, its caps, and whether what is running will end within them (design §8, §11)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home


def budget(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show GPU-hours and money used, reserved and left in each phase, and the forecast of what is running.

    Example: foresight budget --json
    """
    from orchestration.ledger import Ledger
    from orchestration.programme import load
    from orchestration.store import Store

    with exits():
        summary = Ledger(Store(Home.find().database), load()).summary()
    if as_json:
        print_json(summary)
    else:
        _print(summary)


def _print(summary: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="GPU-hours", title_justify="left")
    for column in ("phase", "cap", "used", "reserved", "left", "USD", "CPU-hours"):
        table.add_column(column, justify="right")
    for row in summary["phases"]:
        numbers = [
            row[name]
            for name in ("cap_gpu_hours", "used_gpu_hours", "reserved_gpu_hours", "left_gpu_hours", "used_usd")
        ]
        table.add_row(
            f"{row['phase']} (§{row['section']})", *(f"{number:g}" for number in numbers), f"{row['cpu_hours']:.3f}"
        )
    table.add_section()
    totals = [summary[name] for name in ("used_gpu_hours", "reserved_gpu_hours")]
    table.add_row(
        "all", "", *(f"{number:g}" for number in totals), "", f"{summary['used_usd']:g}", f"{summary['cpu_hours']:.3f}"
    )
    console = Console(highlight=False)
    console.print(table)
    warning = summary["warning"]
    if warning["passed"]:
        console.print(f"Warning: past the {warning['at_gpu_hours']:g} GPU-hours of §{warning['section']}.")
    for one in summary["reservations"]:
        if "forecast" in one:
            console.print(f"{one['key']}: {_ahead(one['forecast'])}; enough: {one['forecast']['enough']}")


def _ahead(ahead: dict[str, Any]) -> str:
    if ahead["hours"] is None:
        return "no throughput measured yet"
    if ahead["low"] is None:
        return f"about {ahead['hours']:.2f} h to go, too few samples for an interval"
    return f"{ahead['hours']:.2f} h to go ({ahead['low']:.2f} .. {ahead['high']:.2f})"
