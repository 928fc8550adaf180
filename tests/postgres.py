"""A real PostgreSQL for the tests: a plain process in a temporary folder, ended with the session."""

import contextlib
import itertools
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.processes import free_ports
from infra.stack import postgres as servers


@dataclass
class Postgres:
    """A running server that can be restarted; clients keep their addresses and passwords."""

    folder: Path
    port: int
    password: str
    held: contextlib.ExitStack
    running: servers.Postgres

    def database(self, name: str) -> str:
        """A new, empty database; its URL."""
        return self.running.database(name).render_as_string(hide_password=False)

    def stop(self) -> None:
        """End it; whoever is connected is cut off."""
        self.held.close()

    def start(self) -> None:
        """Start it again over what it left."""
        self.running = self.held.enter_context(servers.serving(self.folder, self.port, self.password, durable=False))

    def limit_files(self, size: str) -> None:
        """No session from now on can make a file larger than so many bytes, or `unlimited`."""
        command = ["prlimit", "--pid", str(self.running.server.process.pid), f"--fsize={size}:"]
        subprocess.run(command, user=servers.owner(), check=True)


@contextlib.contextmanager
def serving() -> Iterator[Postgres]:
    """Start a server on loopback, and end it with all it started."""
    if servers.lacking():
        pytest.skip(servers.lacking())
    folder, (port,), password = Path(tempfile.mkdtemp(prefix="foresight-pg-")), free_ports(1), secrets.token_urlsafe()
    try:
        with contextlib.ExitStack() as held:
            running = held.enter_context(servers.serving(folder, port, password, durable=False))
            yield Postgres(folder, port, password, held, running)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: a test that asks for it is run on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'foresight.db'}"
    return request.getfixturevalue("new_database")()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the session."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], str]:
    """Call it for the URL of a database of one's own."""
    names = (f"test_{number}" for number in itertools.count())
    return lambda: postgres.database(next(names))
