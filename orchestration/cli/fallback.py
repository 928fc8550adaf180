"""`foresight fallback`: what Phase 2 is worth by the criteria of a fallback of §4.3."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home
from orchestration.terminal import wide


def fallback(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="vlm_only, semantic, or a path to a fallback's YAML file.")
    ],
    evaluation: Annotated[
        str, typer.Option(metavar="WHICH", help="A phase's name, a path of an evaluation.json, or an MLflow run.")
    ] = "phase2",
    data: Annotated[
        str, typer.Option("--data", help="The data set that was evaluated, by its name.")
    ] = "moving_shapes",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Judge an evaluation of Phase 2 by a fallback (§4.3): another programme, which opens no phase.

    The verdict is written beside the runs as fallbacks/NAME.json; the record of the gates stays as it is.
    """
    with exits():
        from orchestration.compare import sides
        from orchestration.fallbacks import declaration, verdict
        from orchestration.plan.programme import load

        home, declared = Home.find(), declaration.load(name)
        found = verdict.judge(declared, load(), sides.evaluation(home, data, evaluation))
        path = verdict.write(found, home.run(data, "phase2").parent)
    if as_json:
        print_json(found.document())
        return

    from orchestration.gates.board import fallback_table

    console = wide()
    console.print(fallback_table(found))
    console.print(f"Written to {path}")
