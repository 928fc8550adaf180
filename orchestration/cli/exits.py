"""How a command ends (design §11): 0 done, 1 failed, 2 wrong usage or input, 3 refused.

What is not 0 comes with one line on stderr that says what happened and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer


@contextmanager
def exits() -> Iterator[None]:
    """Turn this project's own errors into an exit status: a refusal carries its own, bad input is a ValueError."""
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        if isinstance(error, typer.Exit):
            raise
        code = getattr(error, "exit_code", 2 if isinstance(error, ValueError) else 1)
        typer.echo(f"foresight: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(code) from error


def print_json(document: Any) -> None:
    """The one document of `--json`."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
