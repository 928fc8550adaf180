"""Files that hold a secret: of their owner alone, from the first byte on."""

import os
from pathlib import Path


def write_secret(path: Path, text: str) -> Path:
    """Write a file with mode 0600 in place of whatever was there; the path."""
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return aside.replace(path)
