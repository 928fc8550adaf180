"""PostgreSQL as a plain process on loopback: the ledger, the decisions, Dagster's and MLflow's own state (design §3).

It asks for a password over TCP and opens no socket file. Started by root, it runs as the package's own user.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import sqlalchemy.exc

from infra.processes import HOST, Server, ServerError, started

USER = "postgres"
LACKING = "no PostgreSQL server here: install Debian's package `postgresql`"
INSTALLED = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Postgres:
    """A running server; `url`, with the password, names its maintenance database."""

    server: Server
    url: sa.URL

    def database(self, name: str) -> sa.URL:
        """A database of this name, made if it is not there."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            known = connection.execute(sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
            if known.first() is None:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self.url.set(database=name)

    def address(self, name: str) -> str:
        """The URL of such a database without the password, which libpq takes from $PGPASSFILE."""
        url = self.database(name)
        return url._replace(password=None).render_as_string()


@contextmanager
def serving(folder: Path, port: int, password: str, *, durable: bool = True) -> Iterator[Postgres]:
    """A server over `folder`, with what an earlier one left there, and this password from now on.

    Without `durable` it is quicker, and what it holds does not outlive the machine's power.

    Raises:
        ServerError: it is lacking, may not use the folder, or did not start.
    """
    if lacking():
        raise ServerError(LACKING)
    data, user = folder / "data", owner()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user:
        shutil.chown(folder, user)
    if not (data / "PG_VERSION").is_file():
        sizes = [] if durable else ["--no-sync", "--wal-segsize=1"]
        _run([binary("initdb"), "-D", data, f"--username={USER}", "--auth=trust", "--encoding=UTF8", *sizes], folder)
    (data / "pg_hba.conf").write_text(f"host all all {HOST}/32 scram-sha-256\n", encoding="utf-8")
    _run([binary("postgres"), "--single", "-D", data, "postgres"], folder, f"ALTER ROLE {USER} PASSWORD '{password}'\n")
    settings = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": "",
        "fsync": "on" if durable else "off",
    }
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    url = sa.URL.create("postgresql+psycopg", USER, password, HOST, port, "postgres")
    with started(
        "PostgreSQL",
        [binary("postgres"), "-D", data, *options],
        folder / "postgres.log",
        answers=lambda: _answers(url),
        user=user,
        ending=signal.SIGINT,  # SIGTERM would wait for whoever is still connected
    ) as server:
        yield Postgres(server, url)


def lacking() -> str:
    """What to install, when there is no server here; else nothing."""
    return "" if _versions() else LACKING


def owner() -> str | None:
    """PostgreSQL refuses root: the package's own user then; None where it runs as whoever starts it."""
    return None if os.geteuid() else "postgres"


def binary(name: str) -> Path:
    """A program of the newest version here."""
    return _versions()[-1] / name


def _versions() -> list[Path]:
    return sorted(INSTALLED.glob("*/bin"), key=lambda folder: int(folder.parent.name))


def _run(command: Sequence[str | Path], folder: Path, said: str = "") -> None:
    """One of its programs to the end; a secret goes in by stdin, never by a command line that others can list."""
    try:
        done = subprocess.run(
            command, user=owner(), cwd=folder, input=said, text=True, capture_output=True, check=False
        )
    except PermissionError as error:
        raise ServerError(
            f"PostgreSQL does not run as root, and its user `{owner()}` cannot reach {folder}: choose another home"
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip() or "it said nothing").split("\n")[-1]
        raise ServerError(f"{Path(command[0]).name} over {folder} ended with status {done.returncode}: {last}")


def _answers(url: sa.URL) -> bool:
    try:
        sa.create_engine(url, poolclass=sa.NullPool).connect().close()
    except sqlalchemy.exc.OperationalError:
        return False
    return True
