"""Raw clips, shards, and the features of frozen encoders: the way of one clip (design §12), top to bottom:

    sources -> video -> shards -> features (tokens in fp16, or in int8: quantisation)

Here stands what they share: how a file comes to be on the disk, and how one tells how far one is.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called as (what, done, total, numbers)."""


def no_progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
    """Report to nobody."""


class WriteError(RuntimeError):
    """The disk is full or refuses."""


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_durably(path: Path, data: bytes) -> str:
    """Write a file that is there whole or not at all, also after a power cut; gives its sha256.

    Raises:
        WriteError: the disk is full or refuses; nothing is left behind.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WriteError(
            f"{path}: {error.strerror}; nothing half-written is kept: make room for {len(data)} bytes and run again"
        ) from error
    return hashlib.sha256(data).hexdigest()
