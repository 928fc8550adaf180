"""`foresight report`: the chair's page from what stands now (design §11)."""

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.exits import exits
from orchestration.home import Home


def report(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the page is written.")] = Path(
        "report.html"
    ),
    data: Annotated[
        str, typer.Option("--data", metavar="NAME", help="The data set whose programme it tells.")
    ] = "moving_shapes",
) -> None:
    """Write the page as one HTML file. Nothing is computed for it; what has not run says so.

    Example: foresight report --out report.html
    """
    with exits():
        from orchestration.report.collect import collect
        from orchestration.report.page import write

        write(collect(Home.find(), data), out)
    typer.echo(f"{out} ({out.stat().st_size / 1024:.0f} KB)")
