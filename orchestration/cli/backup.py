"""`foresight backup`: a copy of the state that cannot be made again (ADR 21)."""

from typing import Annotated

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home


def backup(
    out: Annotated[str, typer.Option("--out", metavar="DIR|s3://BUCKET/PREFIX", help="Where it comes to lie.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Copy the record, Dagster's and MLflow's databases, and the documents of the home, into a new folder.

    Work may go on meanwhile. A record whose chain is broken is refused. Large files are the object store's to keep.

    Example: foresight backup --out /mnt/backups
    """
    with exits():
        from orchestration.backup.backing_up import back_up

        place, made = back_up(Home.find(), out)
    if as_json:
        print_json({**made.model_dump(by_alias=True), "place": place})
        return
    rows = ", ".join(f"{head.rows} {name}" for name, head in made.heads.items())
    typer.echo(f"{place}: {rows}; {len(made.parts['documents'].files)} documents; {made.bytes() / 1e6:.1f} MB")
