"""`foresight restore`: the state as a backup holds it, into an empty home and empty databases (ADR 21)."""

from typing import Annotated

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home


def restore(
    backup: Annotated[str, typer.Argument(metavar="DIR|s3://BUCKET/PREFIX/NAME", help="One backup.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Put a backup back, whole or not at all, then verify the chains of the record and read the ledger.

    Nothing that is there is replaced: it wants databases without tables and a home without results.

    Example: foresight restore /mnt/backups/foresight-20300110T120000Z
    """
    with exits():
        from orchestration.backup.restoring import restore as put_back

        made = put_back(Home.find(), backup)
    if as_json:
        print_json(made.model_dump(by_alias=True))
        return
    rows = ", ".join(f"{head.rows} {name}" for name, head in made.heads.items())
    typer.echo(
        f"Restored as of {made.made_at}: {rows}; {len(made.parts['documents'].files)} documents. The chain holds."
    )
