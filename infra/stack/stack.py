"""The whole stack on loopback: PostgreSQL, S3, MLflow, Ray and Dagster, started in this order and ended in reverse.

All of it is one person's, on one machine, for as long as the command runs; what the servers keep stays in the home. The
keys are new at each start. They are in files of mode 0600, never in a command line or a log.
"""

import fcntl
import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra import processes
from infra.processes import HOST, Asked, Server, ServerError, free_ports, require_free
from infra.stack import dagster, mlflow, postgres, ray, seaweedfs
from infra.stack.secret_files import write_secret
from orchestration.dispatch.local import worker_environment
from orchestration.home import Home
from orchestration.instance import prepare

NODES = (ray.Node("A100-80GB"), ray.Node("A100-80GB"))
"""The head and a worker, each with a GPU that it only declares."""
BUCKET = "foresight"
ENVIRONMENT = "environment"
SECRET = ("SECRET", "ACCESS_KEY")
"""Parts of the names of variables that are shown without their values."""


@dataclass(frozen=True)
class Ports:
    """Of the pages that people open; all other ports are free ones, looked up at each start."""

    dagster: int = 3000
    mlflow: int = 5000
    ray: int = 8265


@dataclass(frozen=True)
class Stack:
    """What runs, and what its clients need in their environment."""

    servers: list[Server]
    environment: Mapping[str, str]


def lacking() -> list[str]:
    """A line for each server that is not here, with the package that brings it."""
    return [line for line in (postgres.lacking(), seaweedfs.lacking(), ray.lacking()) if line]


def serve(home: Home, ports: Ports, say: Callable[[str], None]) -> None:
    """Serve until asked to end.

    Raises:
        ServerError: a server is lacking, a port is in use, or one of them ended; all have ended then.
    """
    if lines := lacking():
        raise ServerError("; ".join(lines))
    for name, port in (("Dagster", ports.dagster), ("MLflow", ports.mlflow), ("Ray", ports.ray)):
        require_free(name, port, f"--{name.lower()}-port")
    try:
        with processes.until_asked(), _alone(home.stack), started(home, ports, say) as stack:
            say(_told(home, ports, stack.environment))
            processes.watch(stack.servers)
    except Asked:
        say("ended")


@contextmanager
def started(home: Home, ports: Ports, say: Callable[[str], None] = lambda line: None) -> Iterator[Stack]:
    """All servers of a home, each seen to answer before the next.

    Raises:
        ServerError: one is lacking or did not start.
    """
    folder = home.stack
    if ended := processes.end_leftovers(folder):
        say(f"ended {ended} processes that a stack of this home had left")
    postgres_port, s3_port = free_ports(2)
    with ExitStack() as held:
        say("starting PostgreSQL")
        password = secrets.token_hex(24)
        sql = held.enter_context(postgres.serving(folder / "postgres", postgres_port, password))
        passfile = write_secret(folder / "pgpass", f"{HOST}:{postgres_port}:*:{postgres.USER}:{password}\n")
        say("starting S3")
        s3 = held.enter_context(seaweedfs.serving(folder / "s3", s3_port, secrets.token_hex(10), secrets.token_hex(20)))
        keys = {**s3.environment, "PGPASSFILE": str(passfile)}
        say("starting MLflow")
        artifacts = f"s3://{s3.bucket(BUCKET)}/mlflow"
        record = held.enter_context(
            mlflow.serving(folder / "mlflow", ports.mlflow, sql.address("mlflow"), artifacts, keys)
        )
        say(f"starting Ray's {len(NODES)} nodes")
        shared = held.enter_context(ray.cluster(folder / "ray", ports.ray, secrets.token_hex(32)))
        with _environment(keys):  # what runs on a node reaches S3 as an instance's role would let it
            nodes = [
                held.enter_context(ray.worker(shared, node, number) if number else ray.head(shared, node))
                for number, node in enumerate(NODES)
            ]
        environment = {
            "FORESIGHT_HOME": str(home.root),
            "FORESIGHT_DATABASE": sql.address("foresight"),
            "FORESIGHT_DAGSTER_DATABASE": sql.address("dagster").replace("+psycopg:", "+psycopg2:"),
            "FORESIGHT_OBJECTS": f"s3://{BUCKET}/foresight",
            "MLFLOW_BACKEND_STORE_URI": sql.address("mlflow"),  # `foresight backup` copies it
            **record.environment,
            **shared.environment,
            **keys,
        }
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
        write_secret(folder / ENVIRONMENT, "".join(lines))
        held.callback((folder / ENVIRONMENT).unlink)
        say("starting Dagster")
        with _environment(environment):
            prepare(home)
            seen = {**worker_environment(), **mlflow.LEAN, "DAGSTER_HOME": str(home.dagster)}
        pages = held.enter_context(dagster.serving(folder / "dagster", ports.dagster, seen))
        yield Stack([sql.server, s3.server, record.server, *nodes, *pages], environment)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with these values, and as it was afterwards."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One stack a home: two would write over each other's files."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerError(f"a stack of {folder.parent} runs already; end it first, or give --home") from None
        yield


def _told(home: Home, ports: Ports, environment: Mapping[str, str]) -> str:
    shown = [
        f"  {name}={'(in the file)' if any(part in name for part in SECRET) else value}"
        for name, value in environment.items()
    ]
    return "\n".join(
        [
            f"Dagster  http://{HOST}:{ports.dagster}",
            f"MLflow   http://{HOST}:{ports.mlflow}",
            f"Ray      http://{HOST}:{ports.ray}   (it asks for the token in {environment['RAY_AUTH_TOKEN_PATH']})",
            f"In another terminal: . {home.stack / ENVIRONMENT}",
            *shown,
            "Ctrl-C ends all of it; what it keeps stays.",
        ]
    )
