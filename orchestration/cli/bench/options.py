"""What the commands of `foresight bench` share."""

from typing import Annotated

import typer

SCHEMA = "foresight.bench/1"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def verdict(met: bool) -> str:
    """Of a goal, in a word."""
    return "met" if met else "missed"
