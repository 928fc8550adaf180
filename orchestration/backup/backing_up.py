"""Make a backup: a folder of its own, built aside and named when it is whole, or the same in an S3 bucket."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from pathlib import Path

import sqlalchemy as sa

from orchestration.backup import manifest, postgresql, sqlite
from orchestration.backup.manifest import BackupError, Files, Head, Manifest
from orchestration.backup.state import Place, SqliteFiles, documents, parts
from orchestration.home import Home
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from orchestration.versioning import code_commit


def back_up(home: Home, out: str) -> tuple[str, Manifest]:
    """Copy the state of a home into `out`, a folder or s3://BUCKET/PREFIX; where the backup lies, and its manifest.

    Others may write meanwhile: each database is copied as it was at one moment.

    Raises:
        BackupError: the record's chain is broken, or something could not be copied; no backup was made.
        StoreError, ObjectError: a database or the object store does not answer; no backup was made.
        UnknownPlace, AddressError: see `orchestration.backup.state.parts`.
    """
    _require_intact(home)
    remote = out.startswith("s3://")
    name = f"foresight-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"
    if not remote:
        Path(out).mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=None if remote else out))  # mode 0700: it holds everything
    try:
        made = _fill(home, aside)
        if remote:
            return _push(aside, out, name), made
        whole = Path(out) / name
        aside.rename(whole)
        sqlite.sync(Path(out))
        return str(whole), made
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _require_intact(home: Home) -> None:
    if broken := DecisionLog(Store(home.database)).verify():
        raise BackupError(
            f"the record is broken at {broken}; a copy of it would pass for a good one: restore the last backup instead"
        )


def _fill(home: Home, folder: Path) -> Manifest:
    found: dict[str, Files] = {}
    heads: dict[str, Head] = {}
    for name, place in parts(home).items():
        if name == "record":
            heads = _copy_record(place, folder / name)
        else:
            _copy(place, folder / name)
        found[name] = _files(place, folder / name)
    for path in documents(home):
        target = folder / "documents" / path.relative_to(home.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        sqlite.sync(target)
    found["documents"] = Files(kind="documents", files=_listed(folder / "documents"))
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    made = Manifest(made_at=now, code_commit=code_commit(), heads=heads, parts=found)
    manifest.write(made, folder)
    return made


def _copy_record(place: Place, folder: Path) -> dict[str, Head]:
    """The record, and where its chains end in this very copy."""
    if isinstance(place, SqliteFiles):
        _copy(place, folder)
        # Read from a copy of the copy: to open it would add a log beside it.
        with tempfile.TemporaryDirectory() as scratch:
            look = Path(scratch) / place.pattern
            shutil.copyfile(folder / place.pattern, look)
            with Store(look).read() as connection:
                return manifest.heads(connection)
    with Store(place.render_as_string(hide_password=False)).read() as connection:
        postgresql.dump(place, folder / f"{place.database}.dump", postgresql.snapshot(connection))
        return manifest.heads(connection)


def _copy(place: Place, folder: Path) -> None:
    if isinstance(place, sa.URL):
        postgresql.dump(place, folder / f"{place.database}.dump")
        return
    for path in place.files():
        sqlite.copy(path, folder / path.relative_to(place.folder))


def _files(place: Place, folder: Path) -> Files:
    return Files(kind="sqlite" if isinstance(place, SqliteFiles) else "postgresql", files=_listed(folder))


def _listed(folder: Path) -> dict[str, manifest.File]:
    return manifest.listed(folder, sorted(path for path in folder.rglob("*") if path.is_file()))


def _push(folder: Path, out: str, name: str) -> str:
    from orchestration.objects.folders import push_folder
    from orchestration.objects.store import open_store

    push_folder(open_store(out), folder, name)
    return f"{out.rstrip('/')}/{name}"
