"""One run at a time in one home: an advisory file lock that the kernel lets go of when its holder dies.

The file stays behind; what counts is the lock on it, so a killed run leaves nothing stale. Its content says who holds
it, or since when it is free; of a run that was killed it still says the name, which `orphans` reads.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PATIENCE_S = 0.2
"""`look` holds the lock for a moment; whoever comes in that moment waits it out."""


class RunningError(RuntimeError):
    """Another run holds the home."""


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold `path` for the length of a `with`, or raise RunningError that names the holder.

    A process that holds it may ask again: `foresight run` does, and so does the Dagster run that it makes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        if not _taken(file):
            holder = _said(file)
            if holder.get("pid") == os.getpid():
                yield
                return
            raise RunningError(f"{path.parent}: {_told(holder)}; wait for it or end it, then try again") from None
        _say(file, {"pid": os.getpid(), "what": what, "since": time.time()})
        try:
            yield
        finally:
            _say(file, {"free_since": time.time()})


@dataclass(frozen=True)
class Look:
    """What the lock shows: `holder` in words, or since when nobody holds it."""

    holder: str | None
    free_since: float | None
    """None where it was never held, or where its last holder died holding it."""


def look(path: Path) -> Look:
    """Who holds the lock now, without waiting for it."""
    if not path.is_file():
        return Look(None, None)
    with path.open("r", encoding="utf-8") as file:
        said = _said(file)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Look(_told(said), None)
        return Look(None, said.get("free_since"))


def _taken(file: IO[str]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline or _said(file).get("pid") == os.getpid():
                return False
            time.sleep(0.02)


def _say(file: IO[str], what: dict[str, Any]) -> None:
    file.seek(0)
    file.truncate(0)
    file.write(json.dumps(what))
    file.flush()


def _said(file: IO[str]) -> dict[str, Any]:
    """The content; empty in the moment before the holder has written it."""
    file.seek(0)
    try:
        return json.loads(file.read())
    except json.JSONDecodeError:
        return {}


def _told(holder: dict[str, Any]) -> str:
    if "since" not in holder:
        return "a run is going on here"
    minutes = (time.time() - holder["since"]) / 60
    return f"{holder['what']!r} is going on here (process {holder['pid']}, for {minutes:.0f} min)"
