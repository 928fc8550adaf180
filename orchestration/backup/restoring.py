"""Put a backup back into an empty home and empty databases: checked before, whole or not at all, verified after."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.provenance import file_sha256
from orchestration.backup import manifest, postgresql, sqlite
from orchestration.backup.manifest import BackupError, Files, Manifest
from orchestration.backup.state import Place, SqliteFiles, parts
from orchestration.budget.ledger import Ledger
from orchestration.home import Home
from orchestration.lock import hold
from orchestration.plan.programme import load
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store


def restore(home: Home, backup: str) -> Manifest:
    """Bring back the state that lies in `backup`, a folder or s3://BUCKET/PREFIX/NAME; its manifest.

    Nothing that is there is replaced. Each database comes back in one transaction, each file by one renaming, the
    record last; a restore that was killed goes on where it was when it is started again.

    Raises:
        BackupDamaged: the backup is not what was written; nothing was touched.
        BackupError: something stands where the state would come to lie, or a server refused; or the record that came
            back does not verify, which says where.
        RunningError: a run is going on in this home.
        StoreError, ObjectError: a database or the object store does not answer.
    """
    with _fetched(backup) as folder, hold(home.lock, "foresight restore"):
        made = manifest.read(folder)
        identity = file_sha256(folder / manifest.NAME)
        places = parts(home)
        waiting = [(name, place) for name, place in places.items() if not _stands(made.parts, name, place, identity)]
        files = {home.root / name: said for name, said in made.parts["documents"].files.items()}
        missing = [path for path, said in files.items() if not sqlite.stands(path, said)]
        for path in missing:
            sqlite.put_back(folder / "documents" / path.relative_to(home.root), path)
        for name, place in waiting:
            _put_back(made.parts[name], place, folder / name, identity)
        verify(home, made)
        return made


def verify(home: Home, made: Manifest) -> None:
    """Make sure that the record is the one that was backed up, and that it holds.

    Raises:
        BackupError: a chain is broken, or ends elsewhere than the backup says.
    """
    store = Store(home.database)
    if broken := DecisionLog(store).verify():
        raise BackupError(
            f"the record that came back is broken at {broken}; trust nothing after it, take another backup"
        )
    with store.read() as connection:
        found = manifest.heads(connection)
    if other := next((name for name, head in made.heads.items() if found.get(name) != head), None):
        raise BackupError(
            f"{store}: {other} does not end where the backup says: the programme went on after this backup was restored"
            " here, or this is another programme's record; nothing was replaced"
        )
    Ledger(store, load()).summary()


def _stands(backed_up: dict[str, Files], name: str, place: Place, identity: str) -> bool:
    """Whether a part is back already; False: its place is free.

    Raises:
        BackupError: something else is there, or the part was backed up from another kind of database.
    """
    part = backed_up[name]
    kind = "sqlite" if isinstance(place, SqliteFiles) else "postgresql"
    if part.kind != kind:
        raise BackupError(
            f"{name} was backed up from {part.kind}, and {kind} is set up for it here: set up {part.kind}"
        )
    if not isinstance(place, SqliteFiles):
        return postgresql.restored_from(place, identity)
    stray = [path for path in place.files() if path.relative_to(place.folder).as_posix() not in part.files]
    if stray:
        raise BackupError(f"{stray[0]} is in the way; a restore replaces nothing: move it aside, then try again")
    standing = [sqlite.stands(place.folder / file, said) for file, said in part.files.items()]
    return all(standing)


def _put_back(part: Files, place: Place, folder: Path, identity: str) -> None:
    if isinstance(place, SqliteFiles):
        for file, said in part.files.items():
            if not sqlite.stands(place.folder / file, said):
                sqlite.put_back(folder / file, place.folder / file)
        return
    with tempfile.TemporaryDirectory(prefix="foresight-restore-") as scratch:
        for file in part.files:
            postgresql.restore(place, folder / file, identity, Path(scratch))


@contextmanager
def _fetched(backup: str) -> Iterator[Path]:
    """The backup as a folder of this machine."""
    if not backup.startswith("s3://"):
        yield Path(backup)
        return
    from orchestration.objects.folders import pull_folder
    from orchestration.objects.store import ObjectMissing, open_store

    above, _, name = backup.rstrip("/").rpartition("/")
    with tempfile.TemporaryDirectory(prefix="foresight-restore-") as scratch:
        try:
            pull_folder(open_store(above), name, Path(scratch) / name)
        except ObjectMissing as error:
            keys = open_store(backup).keys("")
            held = sorted({key.split("/")[0] for key in keys if key.count("/") > 1})
            said = f"it holds {', '.join(held)}: name one of them" if held else "nothing of a backup is there"
            raise BackupError(f"{backup} is no backup: {said}") from error
        yield Path(scratch) / name
