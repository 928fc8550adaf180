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


class RunningError(RuntimeError):
    """Another run holds the home."""


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold `path` for the length of a `with`, or raise RunningError that names the holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunningError(
                f"{path.parent}: {_holder(file.read())}; wait for it or end it, then try again"
            ) from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "what": what, "since": time.time()}))
        file.flush()
        yield


def _holder(text: str) -> str:
    """Who holds the lock, as far as the file tells; it may be read in the moment before its holder wrote it."""
    try:
        holder = json.loads(text)
    except json.JSONDecodeError:
        return "a run is going on here"
    minutes = (time.time() - holder["since"]) / 60
    return f"{holder['what']!r} is going on here (process {holder['pid']}, for {minutes:.0f} min)"
