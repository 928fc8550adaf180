"""A real PostgreSQL for the tests: a plain process in a temporary folder, ended with the session."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

LACKING = "no PostgreSQL server here: install Debian's package `postgresql`"
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
PATIENCE_S = 60


@dataclass(frozen=True)
class Server:
    """A running server and its folder."""

    process: psutil.Process
    folder: Path
    url: sa.URL

    def database(self, name: str) -> str:
        """A new, empty database; its URL."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self.url.set(database=name).render_as_string(hide_password=False)

    def limit_files(self, size: str) -> None:
        """No session from now on can make a file larger than so many bytes, or `unlimited`."""
        command = ["prlimit", "--pid", str(self.process.pid), f"--fsize={size}:"]
        subprocess.run(command, user=_user(), check=True)


def _user() -> str | None:
    """PostgreSQL refuses root: the package's own user then."""
    return None if os.geteuid() else "postgres"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Start a server on loopback, and end it with all it started."""
    if not BINARIES:
        pytest.skip(LACKING)
    folder, user, port = Path(tempfile.mkdtemp(prefix="foresight-pg-")), _user(), _free_port()
    if user:
        shutil.chown(folder, user)
    data, log, name = folder / "data", folder / "log", user or pwd.getpwuid(os.geteuid()).pw_name
    initdb = [BINARIES[-1] / "initdb", "-D", data, "--auth=trust", "--encoding=UTF8", "--no-sync", "--wal-segsize=1"]
    subprocess.run(initdb, user=user, cwd=folder, check=True, capture_output=True)
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    with log.open("w") as said:
        server = psutil.Popen(
            [BINARIES[-1] / "postgres", "-D", data, *options], user=user, cwd=folder, stdout=said, stderr=said
        )
    try:
        url = sa.URL.create("postgresql+psycopg", username=name, host="127.0.0.1", port=port, database="postgres")
        _wait(url, server, log)
        yield Server(server, folder, url)
    finally:
        children = server.children(recursive=True)
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for whoever is still connected
        server.wait(PATIENCE_S)
        assert not psutil.wait_procs(children, timeout=PATIENCE_S)[1]
        shutil.rmtree(folder)


def _wait(url: sa.URL, server: psutil.Popen, log: Path) -> None:
    engine, deadline = sa.create_engine(url, poolclass=sa.NullPool), time.monotonic() + PATIENCE_S
    while True:
        try:
            engine.connect().close()
            return
        except sa.exc.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"PostgreSQL does not answer: {log.read_text()}"
            time.sleep(0.1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: a test that asks for it is run on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'foresight.db'}"
    return request.getfixturevalue("new_database")()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for the session."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: Server) -> Callable[[], str]:
    """Call it for the URL of a database of one's own."""
    names = (f"test_{number}" for number in itertools.count())
    return lambda: postgres.database(next(names))
