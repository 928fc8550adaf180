"""Dagster's webserver and daemon as plain processes on loopback, over the definitions and the instance of a home."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.processes import HOST, Server, page_answers, started

DEFINITIONS = ("-m", "orchestration.definitions")
SCRIPTS = Path(sys.executable).parent


@contextmanager
def serving(folder: Path, port: int, environment: Mapping[str, str]) -> Iterator[list[Server]]:
    """Both of them; `environment` names the home and the instance (`orchestration.instance.prepare`).

    Raises:
        ServerError: one did not start.
    """
    given, cwd = {**os.environ, **environment}, Path(environment["DAGSTER_HOME"])
    with ExitStack() as held:
        yield [
            held.enter_context(
                started(
                    "Dagster's page",
                    page(port),
                    folder / "webserver.log",
                    answers=lambda: page_answers(f"http://{HOST}:{port}/server_info"),
                    environment=given,
                    cwd=cwd,
                )
            ),
            held.enter_context(
                started("Dagster's daemon", daemon(), folder / "daemon.log", environment=given, cwd=cwd)
            ),
        ]


def page(port: int) -> list[str]:
    """The command line of the webserver."""
    return [str(SCRIPTS / "dagster-webserver"), *DEFINITIONS, "-h", HOST, "-p", str(port)]


def daemon() -> list[str]:
    """The command line of the daemon."""
    return [str(SCRIPTS / "dagster-daemon"), "run", *DEFINITIONS]
