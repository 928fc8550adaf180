"""How `foresight status --compare A B` looks."""

from __future__ import annotations

from typing import Any

from orchestration.home import Home
from orchestration.terminal import wide

LABELS = {"temporal_lpips_variance_dynamic": "dynamic degree"}


def compared(home: Home, data: str, first: str, second: str) -> dict[str, Any]:
    """The comparison of two runs by their names, as one document."""
    from orchestration.compare import sides
    from orchestration.compare.paired import compare
    from orchestration.plan.programme import load

    return compare(sides.find(home, data, first), sides.find(home, data, second), load())


def show(found: dict[str, Any]) -> None:
    """The comparison as a table of at most 100 columns; below it, in words, what was not compared and why."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = wide(100)
    first, second = found["first"], found["second"]
    table = Table(
        title=f"A = {_name(first)}\nB = {_name(second)}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in ("metric", "A", "B", "A - B", "95% interval", "n", ""):
        table.add_column(column, justify="left" if column in ("metric", "") else "right", no_wrap=True)
    for row in found["metrics"]:
        interval = "-" if row["low"] is None else f"{row['low']:+.3g}..{row['high']:+.3g}"
        words, _, _ = row["says"].replace("first", "A").replace("second", "B").partition(":")
        cells = [
            _number(row["first"]),
            _number(row["second"]),
            _number(row["difference"], "+"),
            interval,
            str(row["n"]),
        ]
        table.add_row(
            LABELS.get(row["metric"], row["metric"]), *cells, Text(words, style="bold" if row["better"] else "dim")
        )
    console.print(table)
    for row in found["metrics"]:
        reason = row["says"] if ":" in row["says"] else ""
        said = "; ".join(part for part in (reason, row["protocol"]) if part)
        console.print(Text.assemble((row["metric"], "bold"), f": {said}"))
    console.print(
        f"{found['shared_clips']} shared held-out clips." + "".join(f"\nNote: {one}" for one in found["notes"])
    )


def _name(side: dict[str, Any]) -> str:
    run = f", run {side['run'][:12]}" if side["run"] else ""
    return f"{side['asked']} ({side['arm']} of phase {side['phase']}{run})"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.3g}"
