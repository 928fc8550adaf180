"""The database under the record: a SQLite file, or a PostgreSQL server where several machines share one (design §3).

Writers take turns, whole transactions at a time: with SQLite by BEGIN IMMEDIATE, with PostgreSQL by an advisory lock
that a transaction holds to its end. So the hash chains never fork, and who reads a sum before writing reads the last.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError

PATIENCE_S = 30
"""How long a writer waits for its turn."""
CONNECT_S = 10
_TURN = 0x464F5245  # "FORE": the number of the advisory lock
_REFUSE = """CREATE OR REPLACE FUNCTION foresight_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"""


class StoreError(RuntimeError):
    """The record cannot be read or written; nothing was half-written."""


class AddressError(ValueError):
    """A URL that names no database that the record can be in."""


class Database:
    """SQLite or PostgreSQL behind one way to read and one way to write. A connection lives as long as a transaction."""

    def __init__(self, place: str | Path) -> None:
        """Take a URL, or the path of a SQLite file.

        Raises:
            AddressError: it is neither.
        """
        self.url = address(place)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        patience = {"timeout": PATIENCE_S} if self.sqlite else {"connect_timeout": CONNECT_S}
        if self.sqlite:
            Path(self.url.database or "").parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(self.url, poolclass=sa.NullPool, connect_args=patience)
        if self.sqlite:
            event.listen(self._engine, "connect", _connected)
            event.listen(self._engine, "begin", _begun)
        else:
            event.listen(self._engine, "begin", _in_turn)

    def __str__(self) -> str:
        """Where it is, without the password."""
        return str(self.url.database) if self.sqlite else self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view.

        Raises:
            StoreError: the database does not answer or refuses.
        """
        with self._translated(), self._engine.connect() as connection:
            if not self.sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction, alone: all of it is kept, or none.

        Raises:
            StoreError: the database does not answer, refuses or is full.
        """
        with self._translated(), self._engine.connect() as connection:
            connection = connection.execution_options(foresight_writes=True)
            with connection.begin():
                yield connection

    def protect(self, connection: sa.Connection, tables: Sequence[str]) -> None:
        """Have the database itself refuse to change or delete a row of these tables."""
        if not self.sqlite:
            connection.exec_driver_sql(_REFUSE)
        for table in tables:
            for statement in _refusals_of_sqlite(table) if self.sqlite else _refusals_of_postgresql(table):
                connection.exec_driver_sql(statement)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            said = next(iter(str(error.orig).splitlines()), "") or type(error.orig).__name__
            raise StoreError(f"{self}: {said}; nothing was written, mend it and repeat") from error


def address(place: str | Path) -> sa.URL:
    """The URL of a database.

    Raises:
        AddressError: it cannot be read as one, is of another kind, or means another file in every folder.
    """
    if isinstance(place, Path):
        return sa.URL.create("sqlite", database=str(place.absolute()))
    try:
        url = sa.make_url(place)
    except (ArgumentError, ValueError) as error:
        raise AddressError(f"the address of the database is no URL; {_GIVE}") from error
    kind = url.get_backend_name()
    if kind == "sqlite":
        if not Path(url.database or "").is_absolute():
            raise AddressError(f"{place}: another file for processes in other folders; {_GIVE}")
        return url
    if kind != "postgresql":
        raise AddressError(f"{kind}: no database that the record can be kept in; {_GIVE}")
    return url.set(drivername="postgresql+psycopg")


_GIVE = "give postgresql://USER@HOST/NAME or sqlite:////WHOLE/PATH"


def time_of(connection: sa.Connection) -> dt.datetime:
    """The server's clock, so that machines with clocks of their own agree; for a file, this machine's."""
    if connection.dialect.name == "sqlite":
        return dt.datetime.now(dt.UTC)
    return connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()


def _connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin on its own: _begun says when and how
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {PATIENCE_S * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begun(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("foresight_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _in_turn(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("foresight_writes", False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE_S}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TURN})")


def _refusals_of_sqlite(table: str) -> Iterator[str]:
    for change in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _refusals_of_postgresql(table: str) -> Iterator[str]:
    for change, each in (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        yield (
            f"CREATE OR REPLACE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"FOR EACH {each} EXECUTE FUNCTION foresight_append_only()"
        )
