"""`foresight explain`: which stream each output region listened to (design §11; §2.1, §A.1)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    from orchestration.documents import Phase
    from orchestration.explanation.document import Cell, Explanation


def explain(
    clip: Annotated[str, typer.Argument(help="A video file, or the id of a held-out clip of the data set.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where figures, arrays and numbers are written.")],
    phase: Annotated[int, typer.Option(min=1, max=3, help="Whose checkpoint is explained.")] = 2,
    arm: Annotated[str, typer.Option(help="hybrid, vlm_only or dino_only; without it the one the gate judges.")] = "",
    data: Annotated[str, typer.Option("--data", metavar="NAME", help="The data set that was trained on.")] = (
        "moving_shapes"
    ),
    cells: Annotated[
        list[str] | None,
        typer.Option("--cell", metavar="FRAME,ROW,COLUMN", help="Show this latent cell's attention; may be repeated."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="Where the encoders' weights are now; else the profile of the training.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the document and nothing else.")] = False,
) -> None:
    """Show which stream each output region listened to, what queries attend to, and what the encoders tell apart.

    Examples: foresight explain heldout-000003 --out why/
    foresight explain clip.mp4 --out why/ --cell 2,3,4 --json
    """
    with exits():
        from orchestration.display import Display
        from orchestration.explanation.explain import explain as explained
        from orchestration.home import Home
        from orchestration.progress import Progress

        asked = [_cell(text) for text in cells or []]
        with Display(typer.get_text_stream("stderr"), 1, quiet=as_json) as display:
            display.begin("explain")

            def progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
                display.progress(Progress("explain", what, done, total, numbers))

            found = explained(
                clip, out, Home.find(), dataset=data, phase=cast("Phase", phase), arm=arm, profile=profile, cells=asked,
                progress=progress,
            )  # fmt: skip
    if as_json:
        print_json(found.document())
    else:
        _print(found, out)


def _cell(text: str) -> "Cell":
    try:
        frame, row, column = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"--cell {text!r}: give latent frame, row and column, as 2,3,4") from error
    return frame, row, column


def _print(found: "Explanation", out: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("share of the semantic stream", "cells", "captions", "gate spatial", "gate semantic"):
        table.add_column(column, justify="left" if column.startswith("share") else "right")
    if found.share is not None:
        table.add_row("whole", _share(found.share.cells), _share(found.share.captions), "", "")
    for number, layer in enumerate(found.layers):
        gates = (f"{gate:.3f}" for gate in (layer.gate_spatial, layer.gate_semantic) if gate is not None)
        name = f"layer {number + 1}" if len(found.layers) > 1 else "gates"
        table.add_row(name, _share(layer.cells), _share(layer.captions), *gates)
    console.print(table)
    typer.echo("0: the spatial stream alone was listened to; 1: the semantic stream alone.")
    for name, query in (found.attention or {}).items():
        typer.echo(f"attention of {name}: {query.spatial:.1%} spatial, {query.semantic:.1%} semantic")
    for note in found.notes:
        typer.echo(note)
    for name in (*found.figures, found.arrays, "explanation.json"):
        typer.echo(str(out / name))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
