"""`foresight budget`: hours, money and storage against their caps, and whether what is running ends within them
(design §8, §11).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home

budget_app = typer.Typer(add_completion=False, invoke_without_command=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@budget_app.callback(epilog="Example: foresight budget --figure budget.png")
def budget(
    context: typer.Context,
    as_json: JsonOption = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="FILE", help="Draw it all as a PNG into this file, too.")
    ] = None,
) -> None:
    """Show hours, money and storage used, reserved and left; forecasts of what is running, and how good they were."""
    if context.invoked_subcommand:
        return
    from orchestration.budget.budget import document, draw

    with exits():
        found = document(Home.find())
        if figure is not None:
            draw(found, figure)
    if as_json:
        print_json(found)
    else:
        from orchestration.budget.budget_tables import print_budget

        print_budget(found)


@budget_app.command(
    epilog='Example: foresight budget approve moving_shapes/phase1 --hours 4 --by "A. Chair" --why "IoU still rises"'
)
def approve(
    work: Annotated[str, typer.Argument(metavar="WORK", help="What stopped, as its message names it, or the start.")],
    hours: Annotated[float, typer.Option("--hours", help="Wall-clock hours that it may go on for.")],
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")],
    why: Annotated[str, typer.Option("--why", help="The reason; it is never empty.")],
    as_json: JsonOption = False,
) -> None:
    """Let a run that stopped at the end of its reservation go on, as a signed row of the ledger.

    Its phase's cap stays as it is. Run again: it goes on at its checkpoint.
    """
    from orchestration.record import opened

    with exits():
        given = opened.ledger(Home.find()).approve(work, hours, by, why)
    if as_json:
        said: dict[str, Any] = {**given.__dict__, "at": given.at.isoformat()}
        print_json({"schema": "foresight.approval/1", **said})
        return
    typer.echo(f"{given.work} may go on for {given.hours:g} h, says {given.by}: {given.why}. Run it again.")
