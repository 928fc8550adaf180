"""`foresight bench scale`: whether a clip costs as much among 100,000 as among 1,000."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.bench.options import SCHEMA, Json, verdict
from orchestration.cli.exits import exits, print_json
from orchestration.terminal import wide

if TYPE_CHECKING:
    from rich.table import Table

    from orchestration.bench.scale import Growth


def scale(
    sizes: Annotated[str, typer.Option(metavar="N,N,...", help="Numbers of clips, ascending.")] = "1000,10000,100000",
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw it, as PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Time a clip and peak memory of each operation on synthetic clips, in a temporary folder. Goal: at most 1.2 times
    as long at the most clips as at the fewest. Exits 1 where an operation misses it.

    Example: foresight bench scale --sizes 1000,10000
    """
    with exits():
        from orchestration.bench import scale as bench

        found = bench.measure(_numbers(sizes), _progress)
        few, many = min(found[0].readings), max(found[0].readings)
        told = f"synthetic clips of a few pixels, {few:,} to {many:,} of them, on this machine"
        if figure is not None:
            from orchestration.bench.scale_figure import draw

            figure.write_bytes(draw(told, found))
    missed = [one.name for one in found if not one.met]
    if as_json:
        operations = [one.document() for one in found]
        print_json({"schema": SCHEMA, "bench": "scale", "goal": bench.GOAL, "operations": operations})
    else:
        console = wide(140)
        console.print(_table(told, found, bench.GOAL))
        met = f"{len(found) - len(missed)} of {len(found)} operations"
        console.print(f"goal, at most {bench.GOAL:g} times the time at the fewest: met by {met}")
    raise typer.Exit(1 if missed else 0)


def _numbers(sizes: str) -> list[int]:
    from orchestration.bench.scale import ScaleError

    try:
        return [int(size) for size in sizes.split(",")]
    except ValueError as error:
        raise ScaleError(f"--sizes {sizes}: not numbers of clips; give them as 1000,10000") from error


def _progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
    """On stderr: stdout is the table's, or the document's."""
    typer.echo(f"{done}/{total} {what}", err=True)


def _table(told: str, found: "list[Growth]", goal: float) -> "Table":
    from rich import box
    from rich.table import Table

    sizes = list(found[0].readings)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=told, title_justify="left")
    table.add_column("operation")
    for column in (*(f"{clips:,}" for clips in sizes), "ratio", "steepest", f"goal {goal:g}", "peak memory, MB"):
        table.add_column(column, justify="right")
    for one in found:
        peaks = ", ".join(f"{one.readings[clips].peak_bytes / 1e6:,.0f}" for clips in sizes)
        costs = (_cost(one, clips) for clips in sizes)
        judged = verdict(one.met)
        table.add_row(one.name, *costs, f"{one.ratio:.2f}", f"{one.steepest:.2f}", judged, peaks)
    return table


def _cost(one: "Growth", clips: int) -> str:
    """The whole time and, where a clip is judged, that of a clip."""
    seconds = one.readings[clips].seconds
    return f"{seconds:.2f} s" if one.constant else f"{seconds:.2f} s, {1e6 * one.cost(clips):,.0f} us"
