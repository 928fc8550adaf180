"""One run at a time in one home: an advisory file lock that the kernel lets go of when its holder dies.

The file stays behind, its content is only for the message; what counts is the lock on it, so a killed run leaves
nothing stale.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class RunningError(RuntimeError):
    """Another run holds the home."""


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold `path` for the length of a `with`, or raise RunningError that names the holder.

    A process that holds it may ask again: `foresight run` does, and so does the Dagster run that it makes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = _holder(file.read())
            if holder is not None and holder["pid"] == os.getpid():
                yield
                return
            raise RunningError(f"{path.parent}: {_told(holder)}; wait for it or end it, then try again") from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "what": what, "since": time.time()}))
        file.flush()
        yield


def _holder(text: str) -> dict[str, Any] | None:
    """Who holds the lock; none in the moment before the holder has written it."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _told(holder: dict[str, Any] | None) -> str:
    if holder is None:
        return "a run is going on here"
    minutes = (time.time() - holder["since"]) / 60
    return f"{holder['what']!r} is going on here (process {holder['pid']}, for {minutes:.0f} min)"
