"""`foresight reactions`: what each metric sees of blur, shift, noise and the like, and what it is blind to (§6)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    from models.evaluation.reactions import Table

PIPED_WIDTH = 240
"""Columns of a table that goes into a pipe."""


def reactions(
    clips: Annotated[int, typer.Option(min=3, help="Clips of each kind.")] = 24,
    profile: Annotated[str, typer.Option(help="Whose clip size, segmenter and VLM are taken.")] = "laptop",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Also write a figure of each kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Spoil generated and real clips in known ways and measure them: some minutes, most of them FVD's.

    Example: foresight reactions --clips 12 --out docs/images
    """
    with exits():
        from orchestration.data.datasets import GENERATED, REAL
        from orchestration.display import Display
        from orchestration.profile import load
        from orchestration.progress import Progress
        from orchestration.reactions import on_generated, on_real

        found, tables = load(profile), {}
        with Display(typer.get_text_stream("stderr"), 2, quiet=as_json) as display:
            for kind, make in ((GENERATED, on_generated), (REAL, on_real)):

                def progress(what: str, done: int, total: int, numbers: dict[str, float], kind: str = kind) -> None:
                    display.progress(Progress(kind, what, done, total, numbers))

                tables[kind] = make(found, clips, progress)
        for kind, table in tables.items():
            if out:
                _draw(out / f"reactions_{kind}.png", table, kind)
    if as_json:
        print_json(_document(tables, found.name, found.standins))
        return
    for kind, table in tables.items():
        _print(kind, table)
    typer.echo("After each value: share of clips called worse than untouched, less the share called better.")
    typer.echo("+1 sees it on every clip, 0 is blind, -1 takes it for an improvement. FVD is one value for all clips.")
    if found.standins:
        typer.echo("Spatial IoU and semantic consistency are by stand-ins, which know generated clips only.")


def _document(tables: dict[str, "Table"], profile: str, standins: bool) -> dict[str, Any]:
    kinds = {
        kind: {
            disturbance: {
                name: {**reaction.metric.document(), "balance": reaction.balance} for name, reaction in row.items()
            }
            for disturbance, row in table.items()
        }
        for kind, table in tables.items()
    }
    return {"schema": "foresight.reactions/1", "profile": profile, "standins": standins, "kinds": kinds}


def _draw(path: Path, table: "Table", kind: str) -> None:
    from orchestration.report.figures import reaction_table

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(reaction_table(table, f"What each metric sees, {kind.replace('_', ' ')} clips"))


def _print(kind: str, table: "Table") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid

    names = list(dict.fromkeys(name for row in table.values() for name in row))
    terminal = Console().is_terminal
    console = Console(highlight=False, width=None if terminal else PIPED_WIDTH)
    # In a pipe the table is Markdown, to stand in a document as it is.
    grid = Grid(box=box.SIMPLE_HEAD if terminal else box.MARKDOWN, pad_edge=not terminal, collapse_padding=terminal)
    grid.add_column(kind.replace("_", " "), no_wrap=True)
    for disturbance in table:
        grid.add_column(disturbance, justify="right")
    for name in names:
        grid.add_row(name.replace("_", " "), *(_cell(row.get(name)) for row in table.values()))
    console.print(grid)


def _cell(reaction: Any) -> str:
    if reaction is None or reaction.metric.value is None:
        return "-"
    value = f"{reaction.metric.value:.3g}"
    return value if reaction.balance is None else f"{value} {reaction.balance:+.1f}"
