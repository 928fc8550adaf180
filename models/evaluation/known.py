"""What was measured of clips before, by the content of everything it was measured on.

The phases of a programme are evaluated on the same clips beside the same baselines. A row's key is a hash over the
pixels of the clips, the weights and the code that measured them and whatever else the value depends on: another byte is
another key, so that a stale row cannot be found. Rows are written in one transaction, so that a half-written one cannot
be found either. The file may be removed at any time: it is made anew.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

Row = Any
"""Plain JSON; floats come back bit for bit, NaN included."""
WAIT_S = 60.0


class KnownError(RuntimeError):
    """The file of what is known cannot be read or written."""


class Known:
    """The rows of one kind of measurement, which `fingerprint` names with all that is the same for every clip."""

    def __init__(self, path: Path, fingerprint: str):
        self.path, self.fingerprint = path, fingerprint

    def key(self, *contents: np.ndarray | str) -> str:
        """Of one clip, from arrays (values, type and shape count) and texts."""
        found = hashlib.sha256(self.fingerprint.encode())
        for one in contents:
            shape, data = ("text", one.encode()) if isinstance(one, str) else (f"{one.dtype}{one.shape}", one.tobytes())
            found.update(f"|{shape}|{len(data)}|".encode())
            found.update(data)
        return found.hexdigest()

    def rows(self, keys: Sequence[str], make: Callable[[], Iterable[Row]]) -> list[Row]:
        """The row of each key: all as they were written, or, where one is not known, all made now and kept.

        Raises:
            KnownError: the file is damaged or cannot be written.
        """
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT_S)) as file, file:
                file.execute("CREATE TABLE IF NOT EXISTS known (key TEXT PRIMARY KEY, row TEXT NOT NULL)")
                found = [file.execute("SELECT row FROM known WHERE key = ?", (key,)).fetchone() for key in keys]
            if all(found):
                return [json.loads(row) for (row,) in found]
            made = list(make())
            written = [(key, json.dumps(row)) for key, row in zip(keys, made, strict=True)]
            with closing(sqlite3.connect(self.path, timeout=WAIT_S)) as file, file:
                file.executemany("INSERT OR REPLACE INTO known VALUES (?, ?)", written)
        except sqlite3.Error as error:
            raise KnownError(f"{self.path}: {error}; remove it: it only spares work and is made anew") from error
        return made
