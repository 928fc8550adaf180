"""A folder in the object store: its files by their sha256, and a manifest that is written last.

    PREFIX/files/SHA256     one object for one content
    PREFIX/manifest.json    which file has which content

Without its manifest a folder is not there, so a push that was killed is invisible, and the next one sends only what
lacks. A pull builds the folder beside its place and renames it: it is whole or it is not there.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from models.provenance import file_sha256
from orchestration.documents import canonical
from orchestration.objects.store import PARALLEL, PART, ObjectDamaged, ObjectMissing, ObjectStore

SCHEMA = "foresight.folder/1"
MANIFEST = "manifest.json"


def push_folder(store: ObjectStore, folder: Path, prefix: str) -> str:
    """Send a folder's files, links followed, empty folders left out; gives the sha256 of its manifest.

    Raises:
        NotADirectoryError: there is no such folder.
        ObjectError: the store is away or refuses; the manifest was not written.
    """
    files = listing(folder)
    wanted = {entry["sha256"]: folder / name for name, entry in files.items()}

    def send(sha256: str) -> None:
        key = f"{prefix}/files/{sha256}"
        if not store.exists(key):
            sent = store.put_file(wanted[sha256], key)
            if sent != sha256:
                store.remove(key)
                raise ObjectDamaged(f"{wanted[sha256]}: changed while it was sent; push the folder again")

    _each(send, {sha256: path.stat().st_size for sha256, path in wanted.items()})
    return store.put_bytes(canonical({"schema": SCHEMA, "files": files}).encode(), f"{prefix}/{MANIFEST}")


def pull_folder(store: ObjectStore, prefix: str, folder: Path) -> str:
    """Make `folder` what was pushed, in place of what may be there; gives the sha256 of its manifest.

    A pull that was killed goes on with the files that it has. One process at a time may pull to one place.

    Raises:
        ObjectMissing: no folder was pushed there, or not to the end.
        ObjectDamaged: an object is not what was pushed; `folder` is as it was.
    """
    files, sha256 = manifest(store, prefix)
    folder = folder.absolute()
    draft = folder.parent / f".pulling-{folder.name}"
    draft.mkdir(parents=True, exist_ok=True)
    for path in draft.rglob("*"):
        if path.is_file() and path.relative_to(draft).as_posix() not in files:
            path.unlink()

    def fetch(name: str) -> None:
        path, expected = draft / name, files[name]["sha256"]
        if path.is_file() and file_sha256(path) == expected:
            return
        if store.get_file(f"{prefix}/files/{expected}", path) != expected:
            path.unlink()
            raise ObjectDamaged(
                f"{store.place(prefix)}/files/{expected}: other bytes than its name says; remove it, push again"
            )

    _each(fetch, {name: entry["size"] for name, entry in files.items()})
    if folder.exists():
        gone = folder.parent / f".replaced-{folder.name}"
        shutil.rmtree(gone, ignore_errors=True)  # of an earlier pull that was killed
        folder.rename(gone)
        draft.rename(folder)
        shutil.rmtree(gone)
    else:
        draft.rename(folder)
    return sha256


def manifest(store: ObjectStore, prefix: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Size in bytes and sha256 of each file of a pushed folder, and the manifest's own sha256.

    Raises:
        ObjectMissing: no folder was pushed there, or not to the end.
        ObjectDamaged: the manifest is not one.
    """
    key = f"{prefix}/{MANIFEST}"
    try:
        data = store.get_bytes(key)
    except ObjectMissing as error:
        raise ObjectMissing(f"{store.place(prefix)}: no folder was pushed there to its end; push it") from error
    try:
        document = json.loads(data)
        known = document["schema"] == SCHEMA and all(_inside(name) for name in document["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ObjectDamaged(
            f"{store.place(key)}: no manifest ({type(error).__name__}); push the folder again"
        ) from error
    if not known:
        raise ObjectDamaged(f"{store.place(key)}: not a manifest of {SCHEMA}; push the folder again")
    return document["files"], hashlib.sha256(data).hexdigest()


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """Size in bytes and sha256 of each file below a folder, by its place there.

    Raises:
        NotADirectoryError: there is no such folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: no such folder")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"sha256": file_sha256(path), "size": path.stat().st_size}
        for path in paths
    }


def _each(work: Any, sizes: Mapping[str, int]) -> None:
    """Small files side by side; a large one alone, as its parts go side by side."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(work, [name for name, size in sizes.items() if size <= PART]))
    for name, size in sizes.items():
        if size > PART:
            work(name)


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
