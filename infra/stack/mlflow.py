"""MLflow's server as a plain process on loopback: its tables in PostgreSQL, its artifacts in S3 and handed on by it.

Who records to it needs its address only, no key to S3 and no password.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.processes import HOST, Server, page_answers, started

LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"}
"""Without its own job runners it needs half the memory."""


@dataclass(frozen=True)
class Mlflow:
    """A running server."""

    server: Server
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What MLflow's clients read."""
        return {"MLFLOW_TRACKING_URI": self.url}


@contextmanager
def serving(folder: Path, port: int, store: str, artifacts: str, environment: Mapping[str, str]) -> Iterator[Mlflow]:
    """A server over the database `store` and the prefix `artifacts`; the keys to both are in `environment`.

    Raises:
        ServerError: it did not start.
    """
    url = f"http://{HOST}:{port}"
    options = {"backend-store-uri": store, "artifacts-destination": artifacts}
    with started(
        "MLflow",
        command(port, options),
        folder / "mlflow.log",
        answers=lambda: page_answers(f"{url}/health"),
        environment={**os.environ, **environment, **LEAN},
    ) as server:
        yield Mlflow(server, url)


def command(port: int, options: Mapping[str, str]) -> list[str]:
    """Its command line; none of the options may be a secret."""
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [
        str(Path(sys.executable).parent / "mlflow"),
        "server",
        *given,
        "--host",
        HOST,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
