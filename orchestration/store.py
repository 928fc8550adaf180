"""The SQL record: append-only, hash-chained tables in one database, written in one transaction at a time.

Each row carries its document as canonical JSON and the hash of that document together with the row before it; columns
beside it only help to find it, and are checked against it. Triggers refuse UPDATE and DELETE; `links` finds what got
around them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import SchemaItem

from orchestration.documents import canonical, sha256

metadata = sa.MetaData()


class StoreError(RuntimeError):
    """The record cannot be read or written; nothing was half-written."""


def _chained(name: str, *columns: SchemaItem) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.String, nullable=False),
        *columns,
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("previous_sha256", sa.String, unique=True),
        sa.Column("sha256", sa.String, nullable=False, unique=True),
    )


decisions = _chained(
    "decisions",
    sa.Column("phase", sa.Integer, nullable=False, index=True),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("content_sha256", sa.String, nullable=False, unique=True),
)
overrides = _chained("overrides", sa.Column("phase", sa.Integer, nullable=False, index=True))
events = _chained("events", sa.Column("kind", sa.String, nullable=False, index=True))
ledger = _chained(
    "ledger",
    sa.Column("key", sa.String, nullable=False),
    sa.Column("step", sa.String, nullable=False),
    sa.UniqueConstraint("key", "step"),
)
# Heartbeats are many and say only "still alive, this far": they are not chained; the ledger settles what they say.
heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String, nullable=False, index=True),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("step", sa.Integer),
    sa.Column("steps", sa.Integer),
)
CHAINED = (decisions, overrides, events, ledger)


class Store:
    """One SQLite file in WAL mode; writers take turns from their first statement (BEGIN IMMEDIATE)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool, connect_args={"timeout": 30})
        event.listen(self._engine, "connect", _connected)
        event.listen(self._engine, "begin", _begun)
        with self.read() as connection:
            present = set(sa.inspect(connection).get_table_names())
        if not set(metadata.tables) <= present:
            self._create()

    def _create(self) -> None:
        with self.write() as connection:
            metadata.create_all(connection)
            for table in CHAINED:
                for change in ("UPDATE", "DELETE"):
                    name = f"{table.name}_no_{change.lower()}"
                    connection.exec_driver_sql(
                        f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {change} ON {table.name} "
                        f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only'); END"
                    )

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view."""
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: all of it is kept, or none."""
        with self._translated(), self._engine.connect() as connection:
            connection = connection.execution_options(foresight_writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"{self.path}: {error.orig}; nothing was written, mend it and repeat") from error


def _connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin on its own: _begun says when and how
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000"):
        connection.execute(f"PRAGMA {pragma}")


def _begun(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("foresight_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def now(connection: sa.Connection, clock: dt.datetime | None = None) -> dt.datetime:
    """The time in UTC, never before what is already recorded: a clock set back revives nothing that had expired."""
    latest = connection.execute(sa.union_all(*(sa.select(sa.func.max(table.c.at)) for table in (*CHAINED, heartbeats))))
    recorded = max((dt.datetime.fromisoformat(at) for at in latest.scalars() if at), default=None)
    moment = clock or dt.datetime.now(dt.UTC)
    return moment if recorded is None else max(moment, recorded)


def stamp(moment: dt.datetime) -> str:
    """A time as it is stored: UTC, fixed width, so that text order is time order."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def head(connection: sa.Connection, table: sa.Table) -> str | None:
    """The hash that the next row of a table is chained to."""
    return connection.execute(sa.select(table.c.sha256).order_by(table.c.seq.desc()).limit(1)).scalar()


def append(
    connection: sa.Connection, table: sa.Table, at: dt.datetime, document: Mapping[str, Any], **columns: Any
) -> str:
    """Add a row at the end of a chain; gives back its hash."""
    previous = head(connection, table)
    body = {"at": stamp(at), **document}
    digest = sha256({"previous_sha256": previous, "document": body})
    row = {"at": stamp(at), "document": canonical(body), "previous_sha256": previous, "sha256": digest, **columns}
    connection.execute(table.insert().values(row))
    return digest


def links(connection: sa.Connection, table: sa.Table) -> Iterator[tuple[sa.Row[Any], dict[str, Any], str | None]]:
    """(row, its document, what breaks the chain there or None) in order."""
    previous: str | None = None
    for row in connection.execute(sa.select(table).order_by(table.c.seq)):
        try:
            body = json.loads(row.document)
        except ValueError:
            yield row, {}, "its document is not JSON"
            return
        problem = None
        if row.previous_sha256 != previous:
            problem = "the row before it is missing or was changed"
        elif table is not decisions and sha256({"previous_sha256": previous, "document": body}) != row.sha256:
            problem = "its document was changed"
        elif any(name in body and body[name] != getattr(row, name) for name in row._fields if name != "document"):
            problem = "a column says otherwise than its document"
        yield row, body, problem
        previous = row.sha256
