"""What a backup says of itself: every file with its size and sha256, and where each chain of the record ended."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models.provenance import file_sha256
from orchestration.record import store

NAME = "manifest.json"
SCHEMA = "foresight.backup/1"


class BackupError(RuntimeError):
    """A backup that cannot be made, or cannot be put back."""


class BackupDamaged(BackupError):
    """A backup that is not what was written."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Document):
    """One file of a backup."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Head(_Document):
    """Where a chain of the record ended."""

    rows: int = Field(ge=0)
    sha256: str | None


class Files(_Document):
    """A part of the state: its files, by their paths below the part's folder of the backup."""

    kind: Literal["sqlite", "postgresql", "documents"]
    files: dict[str, File]

    @field_validator("files")
    @classmethod
    def _below(cls, files: dict[str, File]) -> dict[str, File]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise ValueError(f"{name!r} lies outside the backup")
        return files


class Manifest(_Document):
    """A whole backup."""

    document: Literal["foresight.backup/1"] = Field(default=SCHEMA, alias="schema")
    made_at: str
    code_commit: str
    heads: dict[str, Head]
    parts: dict[str, Files]

    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for part in self.parts.values() for file in part.files.values())


def heads(connection: sa.Connection) -> dict[str, Head]:
    """Where each chain ends, in one view."""
    count = sa.func.count()
    return {
        table.name: Head(
            rows=connection.execute(sa.select(count).select_from(table)).scalar_one(),
            sha256=store.head(connection, table),
        )
        for table in store.CHAINED
    }


def listed(folder: Path, paths: Iterable[Path]) -> dict[str, File]:
    """Files below a folder as a manifest names them."""
    return {
        path.relative_to(folder).as_posix(): File(bytes=path.stat().st_size, sha256=file_sha256(path)) for path in paths
    }


def write(manifest: Manifest, folder: Path) -> None:
    """Put the manifest beside its files, on disk."""
    text = manifest.model_dump_json(indent=1, by_alias=True)
    with (folder / NAME).open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Manifest:
    """A backup's manifest, after every file was compared with it.

    Raises:
        BackupDamaged: there is no manifest, it cannot be read, or a file is missing or another one.
    """
    path = folder / NAME
    if not path.is_file():
        others = sorted(one.parent.name for one in folder.glob(f"*/{NAME}")) if folder.is_dir() else []
        held = f"it holds {', '.join(others)}: name one of them" if others else f"no {NAME} in it"
        raise BackupDamaged(f"{folder} is no backup: {held}")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise BackupDamaged(
            f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; take another backup"
        ) from error
    for name, part in manifest.parts.items():
        for file, said in part.files.items():
            _compare(folder / name / file, said)
    return manifest


def _compare(path: Path, said: File) -> None:
    if not path.is_file():
        raise BackupDamaged(f"{path}: missing from the backup; take another one")
    if path.stat().st_size != said.bytes or file_sha256(path) != said.sha256:
        raise BackupDamaged(f"{path}: not the bytes that were backed up; take another backup")
