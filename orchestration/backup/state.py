"""What of a programme is state: three databases and the small documents beside them (design §3, ADR 21).

Everything else can be fetched or made again, or lies in the object store, which keeps its own copies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import yaml

from orchestration.home import Home
from orchestration.record.database import address

DAGSTER_URL = "FORESIGHT_DAGSTER_DATABASE"
MLFLOW_URL = "MLFLOW_BACKEND_STORE_URI"
DOCUMENTS = (
    "datasets.json",
    "notify.yaml",
    "data/*/data.dvc",
    "data/*/dvc.yaml",
    "data/*/dvc.lock",
    "data/*/params.yaml",
    "runs/**/*.json",
)
"""By pattern, below the home: which data and which results the programme has; they name the large files by hash."""


class UnknownPlace(ValueError):
    """Nothing here says where a part of the state lies."""


@dataclass(frozen=True)
class SqliteFiles:
    """A part that is SQLite files below one folder; more may come, so they are looked for when they are needed."""

    folder: Path
    pattern: str

    def files(self) -> list[Path]:
        """Those that are there."""
        return sorted(path for path in self.folder.glob(self.pattern) if path.is_file())


Place = SqliteFiles | sa.URL


def parts(home: Home) -> dict[str, Place]:
    """Where each part lies, in the order in which it is copied and put back.

    The record comes last. A copy of MLflow's database then holds no decision that the copied record lacks, which
    `foresight gate log` would call a record cut off; and until the record is back, nothing can be decided or spent.

    Raises:
        UnknownPlace: a server holds a part, and nothing says which database is behind it.
        AddressError: a URL that names neither a PostgreSQL database nor a SQLite file.
    """
    return {"dagster": _dagster(home), "mlflow": _mlflow(home), "record": _place(home.database)}


def documents(home: Home) -> Iterator[Path]:
    """The small files of a home that say what the large ones are."""
    for pattern in DOCUMENTS:
        yield from (path for path in sorted(home.root.glob(pattern)) if path.is_file())


def _dagster(home: Home) -> Place:
    if given := os.environ.get(DAGSTER_URL):
        return _place(given)
    settings = home.dagster / "dagster.yaml"
    if settings.is_file() and "storage" in (yaml.safe_load(settings.read_text(encoding="utf-8")) or {}):
        raise UnknownPlace(f"{settings} names a storage of its own: set {DAGSTER_URL} to its postgresql:// address")
    return SqliteFiles(home.dagster, "**/*.db")


def _mlflow(home: Home) -> Place:
    given = os.environ.get(MLFLOW_URL) or home.tracking_uri
    if given.startswith(("http://", "https://")):
        raise UnknownPlace(f"MLflow is a server at {given}: set {MLFLOW_URL} to the postgresql:// address behind it")
    return _place(given)


def _place(url: str) -> Place:
    found = address(url)
    if found.get_backend_name() != "sqlite":
        return found
    path = Path(found.database or "")
    return SqliteFiles(path.parent, path.name)
