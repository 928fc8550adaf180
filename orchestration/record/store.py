"""The SQL record: append-only, hash-chained tables in one database, written in one transaction at a time.

Each row carries its document as canonical JSON and the hash of that document together with the row before it; columns
beside it only help to find it, and are checked against it. Triggers refuse UPDATE and DELETE; `links` finds what got
around them. Where the database is SQLite or PostgreSQL, and how each of them makes writers take turns, is
`orchestration/record/database.py`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from orchestration.documents import canonical, sha256
from orchestration.record.database import Database, StoreError, time_of

__all__ = ["Store", "StoreError", "append", "head", "links", "now", "stamp"]

metadata = sa.MetaData()


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
    """The record in one database, by its URL or by the path of a SQLite file; the tables are made where they lack."""

    def __init__(self, place: str | Path) -> None:
        self._database = Database(place)
        with self.read() as connection:
            present = set(sa.inspect(connection).get_table_names())
        if not set(metadata.tables) <= present:
            with self.write() as connection:
                metadata.create_all(connection)
                self._database.protect(connection, [table.name for table in CHAINED])

    def __str__(self) -> str:
        return str(self._database)

    def read(self) -> AbstractContextManager[sa.Connection]:
        """One consistent view."""
        return self._database.read()

    def write(self) -> AbstractContextManager[sa.Connection]:
        """One transaction, alone: all of it is kept, or none."""
        return self._database.write()


def now(connection: sa.Connection, clock: dt.datetime | None = None) -> dt.datetime:
    """The time in UTC, never before what is already recorded: a clock set back revives nothing that had expired.

    On a server it is the server's clock, one for all who write.
    """
    latest = (last(connection, table.c.at) for table in (*CHAINED, heartbeats))
    recorded = max((dt.datetime.fromisoformat(at) for at in latest if at), default=None)
    moment = clock or time_of(connection)
    return moment if recorded is None else max(moment, recorded)


def last(connection: sa.Connection, column: sa.Column[str]) -> str | None:
    """A column of the last row of its table."""
    return connection.execute(sa.select(column).order_by(column.table.c.seq.desc()).limit(1)).scalar()


def stamp(moment: dt.datetime) -> str:
    """A time as it is stored: UTC, fixed width, so that text order is time order."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def head(connection: sa.Connection, table: sa.Table) -> str | None:
    """The hash that the next row of a table is chained to."""
    return last(connection, table.c.sha256)


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
