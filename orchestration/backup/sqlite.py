"""SQLite files, copied while others write to them, and put back whole."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from models.provenance import file_sha256
from orchestration.backup.manifest import BackupError, File

BESIDE = ("-wal", "-shm", "-journal")


def copy(source: Path, target: Path) -> None:
    """One consistent copy of a database, with what its log still holds; on disk when this returns.

    Raises:
        BackupError: the file is no database, or does not let itself be read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as one,
            closing(sqlite3.connect(target)) as two,
        ):
            one.backup(two)
    except sqlite3.Error as error:
        raise BackupError(f"{source}: {error}; it was not backed up") from error
    sync(target)


def stands(target: Path, said: File) -> bool:
    """Whether a file is already there as it was backed up; False: its place is free.

    Raises:
        BackupError: something else is there.
    """
    if target.is_file() and file_sha256(target) == said.sha256:
        return True
    in_the_way = next((path for path in (target, *beside(target)) if path.exists()), None)
    if in_the_way is not None:
        raise BackupError(f"{in_the_way} is in the way; a restore replaces nothing: move it aside, then try again")
    return False


def beside(database: Path) -> list[Path]:
    """The names of the logs that SQLite keeps next to a database."""
    return [database.with_name(database.name + end) for end in BESIDE]


def put_back(source: Path, target: Path) -> None:
    """A file of a backup at its place, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.restoring")
    aside.write_bytes(source.read_bytes())
    sync(aside)
    aside.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
