"""DVC's cache, hashed again: DVC takes what is read-only there for sound and would hand on a flipped bit."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

DIRECTORY = ".dir"


def drop_damaged(cache: Path, outs: Sequence[dict[str, Any]]) -> list[str]:
    """Remove from the cache each object of these outs whose bytes are not its name, so that it is fetched or committed
    anew; gives their hashes.
    """
    damaged = []
    for oid in objects(cache, outs):
        path = _path(cache, oid)
        if path.is_file() and not _sound(path, oid):
            path.unlink()
            damaged.append(oid)
    return damaged


def lacking(cache: Path, outs: Sequence[dict[str, Any]]) -> list[str]:
    """The objects of these outs that the cache does not hold, as far as the lists that it holds name them."""
    return [oid for oid in objects(cache, outs) if not _path(cache, oid).is_file()]


def objects(cache: Path, outs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The hash of each object of these outs once, a folder's list before what it lists."""
    seen = set()
    for out in outs:
        oids = [out["md5"]]
        listed = _path(cache, out["md5"])
        if out["md5"].endswith(DIRECTORY) and listed.is_file() and _sound(listed, out["md5"]):
            oids += [entry["md5"] for entry in json.loads(listed.read_bytes())]
        yield from (oid for oid in dict.fromkeys(oids) if oid not in seen)
        seen.update(oids)


def _path(cache: Path, oid: str) -> Path:
    return cache / "files" / "md5" / oid[:2] / oid[2:]


def _sound(path: Path, oid: str) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == oid.removesuffix(DIRECTORY)
