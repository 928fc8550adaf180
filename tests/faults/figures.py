"""All faults in one table: how each ended, what was done twice, what was lost, how far off the budget is.

`make fault-figures`, or: python -m tests.faults.figures --kills 200 --json. Exits 1 when a row is not as it must be.
"""

import argparse
import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from tests.faults import kills
from tests.faults.rows import FaultRow

FOLDER = Path(__file__).parent
COLUMNS = ("fault", "ended", "twice", "lost", "budget off by s", "")
PROPERTY = "fault_row"


class Rows:
    """A pytest plugin that collects the rows; a test that failed has one that says so."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = dict(report.user_properties).get(PROPERTY)
        if report.skipped:
            self.skipped.append(f"{report.nodeid}: {report.longrepr[2] if report.longrepr else ''}")
        elif report.failed:
            name = found["fault"] if isinstance(found, dict) else report.nodeid
            self.rows.append(FaultRow(name).document() | {"wrong": f"{report.nodeid} failed in its {report.when}"})
        elif report.when == "teardown" and isinstance(found, dict):
            self.rows.append(found)


def killed(count: int) -> dict:
    """The row of the kills in the way of a gate decision, and of the launch that follows it."""
    with tempfile.TemporaryDirectory() as folder:
        figures = kills.run(Path(folder) / "home", count)
    counted = (figures.decisions, figures.launches)
    row = FaultRow(f"daemon killed on a decision's way ({figures.kills} times)", "right result")
    row.twice, row.lost = (sum(one[how] for one in counted) for how in ("doubled", "lost"))
    return row.document() | ({} if figures.record == "whole" else {"wrong": figures.record})


def main() -> None:
    """Print the table, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="in the way of a gate decision; 0 leaves them out")
    parser.add_argument("--only", metavar="EXPRESSION", default="", help="as pytest's -k")
    parser.add_argument("--json", action="store_true")
    given, plugin = parser.parse_args(), Rows()
    with _stdout_to_stderr():
        rows = [killed(given.kills)] if given.kills else []
        status = pytest.main(
            ["-m", "fault", "-k", given.only, str(FOLDER), "--durations=0", "--durations-min=1"], plugins=[plugin]
        )
    rows += plugin.rows
    if given.json:
        print(json.dumps({"schema": "foresight.faults/1", "rows": rows, "skipped": plugin.skipped}, indent=1))
    else:
        _print(rows, plugin.skipped)
    raise SystemExit(
        1 if any(row["wrong"] for row in rows) or status not in (0, pytest.ExitCode.NO_TESTS_COLLECTED) else 0
    )


@contextmanager
def _stdout_to_stderr():
    """What pytest prints is no part of the figures."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _print(rows: list[dict], skipped: list[str]) -> None:
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        off = row["budget_off_s"]
        numbers = ("-" if value is None else str(value) for value in (row["twice"], row["lost"]))
        mark = f"[red]{row['wrong']}[/]" if row["wrong"] else "[green]ok[/]"
        table.add_row(row["fault"], row["ended"] or "-", *numbers, "-" if off is None else f"{off:+.1f}", mark)
    console = Console(highlight=False)
    console.print(table)
    for line in skipped:
        console.print(f"not run: {line}")


if __name__ == "__main__":
    main()
