"""What weights are, and whether they are intact: hashes of files and folders. No torch: whoever only compares hashes
starts at once.
"""

import hashlib
import json
from pathlib import Path


class WeightsError(RuntimeError):
    """Weights that are missing, damaged, or not those that were asked for."""


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(folder: Path) -> str:
    """One sha256 over every weights file and configuration below `folder`, names included.

    Raises:
        WeightsError: the folder holds no safetensors file.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix in {".safetensors", ".json"})
    if not any(p.suffix == ".safetensors" for p in files):
        raise WeightsError(f"{folder}: no *.safetensors here; point the profile at a folder of weights")
    listing = {p.relative_to(folder).as_posix(): file_sha256(p) for p in files}
    return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def is_standin(folder: Path) -> bool:
    """Whether the weights are a stand-in: its card lies beside them."""
    return (folder / "CARD.md").is_file()
