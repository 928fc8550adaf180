"""PostgreSQL databases by its own pg_dump, pg_restore and psql: one snapshot out, one transaction back.

A password goes to these programs by their environment: arguments can be read by every process of a machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import dialect

from orchestration.backup.manifest import BackupError
from orchestration.record.database import Database

MARK = "restored from the Foresight backup "
OWN = ("pg_catalog", "information_schema", "pg_toast")


def snapshot(connection: sa.Connection) -> str:
    """A name for what a transaction sees, good as long as it lasts."""
    return connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()


def dump(url: sa.URL, target: Path, snapshot: str | None = None) -> None:
    """All of a database as one file, as it was at one moment: now, or when `snapshot` was taken.

    Raises:
        BackupError: the server does not answer, refuses, or is newer than pg_dump.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}"]
    _run([*command, *([f"--snapshot={snapshot}"] if snapshot else []), f"--dbname={_without_password(url)}"], url)


def restored_from(url: sa.URL, backup: str) -> bool:
    """Whether this backup was already restored here; False: the database is empty.

    Raises:
        BackupError: it holds something else.
        StoreError: the server does not answer, or there is no such database.
    """
    with Database(url.render_as_string(hide_password=False)).read() as connection:
        mark = connection.exec_driver_sql(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
        ).scalar()
        inspector = sa.inspect(connection)
        held = [
            f"{schema}.{table}"
            for schema in inspector.get_schema_names()
            if schema not in OWN
            for table in inspector.get_table_names(schema)
        ]
    if mark == MARK + backup:
        return True
    if held:
        shown = url.render_as_string(hide_password=True)
        raise BackupError(
            f"{shown} holds {len(held)} tables ({held[0]}); a restore replaces nothing: give it an empty database"
        )
    return False


def restore(url: sa.URL, source: Path, backup: str, scratch: Path) -> None:
    """Put a dump into an empty database in one transaction, and mark the database with the backup's hash in the same.

    Raises:
        BackupError: the server does not answer or refuses; the database is as it was.
    """
    script = scratch / f"{source.stem}.sql"
    _run(["pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(source)], url)
    name = dialect().identifier_preparer.quote(url.database or "")
    mark = f"COMMENT ON DATABASE {name} IS '{MARK}{backup}'"
    command = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--output=/dev/null"]
    _run([*command, f"--file={script}", f"--command={mark}", f"--dbname={_without_password(url)}"], url)
    script.unlink()


def _without_password(url: sa.URL) -> str:
    return url.set(drivername="postgresql")._replace(password=None).render_as_string()  # `set` would keep it, as ***


def _run(command: list[str], url: sa.URL) -> None:
    if shutil.which(command[0]) is None:
        raise BackupError(f"{command[0]} is not installed: install Debian's package `postgresql-client`")
    secret = {"PGPASSWORD": str(url.password)} if url.password else {}
    done = subprocess.run(
        command, env={**os.environ, **secret}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line.lower()), done.stderr.strip())
        raise BackupError(f"{url.render_as_string(hide_password=True)}: {said or f'{command[0]} failed'}")
