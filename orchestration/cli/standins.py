"""`foresight standins`: train the laptop profile's stand-ins anew, or verify those that are shipped (design §5)."""

from typing import Annotated

import typer

from orchestration.cli.exits import exits, print_json

standins_app = typer.Typer(no_args_is_help=True, help="Train or verify the stand-ins of the laptop profile.")


@standins_app.command()
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Check every file of the stand-ins against the recorded hashes.

    Example: foresight standins verify
    """
    with exits():
        from models.standins import shelf

        hashes = shelf.verify()
    if as_json:
        print_json({"schema": "foresight.standins/1", "sha256": hashes})
        return
    for name, files in hashes.items():
        typer.echo(f"{name:10} {len(files)} files as recorded")


@standins_app.command()
def train(
    names: Annotated[
        list[str] | None, typer.Argument(help="vae, dinov2, qwen, ltx, segmenter; none means all.")
    ] = None,
) -> None:
    """Train stand-ins from generated clips, write their cards and renew the recorded hashes: about an hour for all.

    Example: foresight standins train dinov2
    """
    with exits():
        from models.standins import shelf
        from models.standins.train import train as train_all
        from orchestration.display import Display
        from orchestration.progress import Progress

        for name in names or []:
            shelf.folder(name)
        wanted = tuple(names or shelf.NAMES)
        with Display(typer.get_text_stream("stdout"), len(wanted)) as display:
            train_all(
                wanted,
                lambda what, done, total, numbers: display.progress(Progress("standins", what, done, total, numbers)),
            )
