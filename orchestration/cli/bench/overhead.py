"""`foresight bench dagster` and `definitions`: what the orchestration costs."""

from statistics import median
from typing import Annotated

import typer

from orchestration.cli.bench.options import SCHEMA, Json
from orchestration.cli.exits import exits, print_json


def dagster(as_json: Json = False) -> None:
    """The last run that made phases, over its workers' own time: what going through Dagster costs. Goal: at most 1.15.

    Example: foresight bench dagster
    """
    with exits():
        from orchestration.bench.overhead import of_last_full_run
        from orchestration.home import Home

        found = of_last_full_run(Home.find())
    if as_json:
        print_json({"schema": SCHEMA, "bench": "dagster", **vars(found), "ratio": found.ratio})
        return
    typer.echo(f"run {found.run_seconds:.1f} s, workers {found.worker_seconds:.1f} s in {found.stages} stages")
    typer.echo(f"ratio {found.ratio:.3f} (goal: at most 1.15)")


def definitions(
    repeats: Annotated[int, typer.Option(min=1, help="Fresh processes to start.")] = 5, as_json: Json = False
) -> None:
    """Seconds that a fresh process takes to load Dagster's definitions. Goal: under 3.

    Example: foresight bench definitions --repeats 3
    """
    import subprocess
    import sys
    import time

    times = []
    with exits():
        for _ in range(repeats):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import orchestration.definitions"], check=True, capture_output=True)
            times.append(time.perf_counter() - began)
    if as_json:
        print_json({"schema": SCHEMA, "bench": "definitions", "seconds": times, "median": median(times)})
        return
    typer.echo(f"definitions load in {median(times):.2f} s, median of {repeats} (goal: under 3 s)")
