"""What weights are, and whether they are intact: hashes of files and folders. No torch: whoever only compares hashes
starts at once.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

Pin: TypeAlias = str | Mapping[str, str]
"""What weights are expected to be: their `folder_sha256`, or the sha256 of each file by its place in the folder."""


class WeightsError(RuntimeError):
    """Weights that are missing, damaged, or not those that were asked for."""


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hashes(folder: Path, parts: tuple[str, ...] = ()) -> dict[str, str]:
    """sha256 of every weights file and configuration below `folder`, or below these parts of it, by its place there.

    Raises:
        WeightsError: there is no safetensors file.
    """
    found = (p for part in parts or (".",) for p in (folder / part).rglob("*"))
    files = sorted(p for p in found if p.suffix in {".safetensors", ".json"})
    if not any(p.suffix == ".safetensors" for p in files):
        where = f"below {', '.join(parts)}" if parts else "here"
        raise WeightsError(f"{folder}: no *.safetensors {where}; point the profile at a folder of weights")
    return {p.relative_to(folder).as_posix(): file_sha256(p) for p in files}


def listing_sha256(hashes: Mapping[str, str]) -> str:
    """One sha256 over the files of `file_hashes`, names included."""
    return hashlib.sha256(json.dumps(dict(hashes), sort_keys=True).encode()).hexdigest()


def folder_sha256(folder: Path, parts: tuple[str, ...] = ()) -> str:
    """One sha256 over every weights file and configuration below `folder`, names included.

    Raises:
        WeightsError: the folder holds no safetensors file.
    """
    return listing_sha256(file_hashes(folder, parts))


def require_pinned(folder: Path, hashes: Mapping[str, str], pin: Pin) -> None:
    """Refuse weights that are not those pinned. A pin by file must name every file that holds weights.

    Raises:
        WeightsError: another hash, a file that is not there, or weights that no pin names.
    """
    if isinstance(pin, str):
        if (found := listing_sha256(hashes)) != pin:
            raise WeightsError(
                f"{folder}: has sha256 {found}, not the pinned {pin}; it is refused: restore it or pin this"
            )
        return
    for name, wanted in pin.items():
        if name not in hashes:
            raise WeightsError(
                f"{folder}: no weights or configuration {name}, which is pinned; restore it or drop its pin"
            )
        if hashes[name] != wanted:
            found = f"{name} has sha256 {hashes[name]}, not the pinned {wanted}"
            raise WeightsError(f"{folder}: {found}; it is refused: restore it or pin this")
    if loose := [name for name in hashes if name.endswith(".safetensors") and name not in pin]:
        raise WeightsError(f"{folder}: {loose[0]} holds weights that no pin names; pin it too, or the whole folder")


def is_standin(folder: Path) -> bool:
    """Whether the weights are a stand-in: its card lies beside them."""
    return (folder / "CARD.md").is_file()
