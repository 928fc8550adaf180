"""Cells on disk: what each measured, under the fingerprint of all that it was measured from (ADR 24).

OUT/cells/NAME.json, OUT/cells/NAME/ (its own folder: checkpoints and what it made for others)
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from models.data import write_durably
from orchestration.jobs import Job
from orchestration.studies.study import Cell, Measured
from orchestration.versioning import fingerprint, source_sha256

CELLS, MARK = "cells", "fingerprint"


class CellsError(ValueError):
    """Cells that a study lists in a way that cannot be followed."""


def marks(job: Job, code: Sequence[str], seed: int, planned: Sequence[Cell]) -> dict[str, str]:
    """The fingerprint of each cell: its settings, the job's inputs, weights and choices, code, and what it reads.

    Raises:
        CellsError: two cells of one name, or one that comes before what it reads.
    """
    shared = {**job.given, "seed": seed, "code": source_sha256(*code)}
    found: dict[str, str] = {}
    for cell in planned:
        if cell.name in found:
            raise CellsError(f"two cells named {cell.name}; give each its own name")
        if missing := [name for name in cell.after if name not in found]:
            raise CellsError(f"cell {cell.name} reads {missing[0]}, which does not come before it")
        read = {name: found[name] for name in cell.after}
        found[cell.name] = fingerprint({**shared, "name": cell.name, "settings": cell.settings, "reads": read})
    return found


def folder(out: Path, name: str) -> Path:
    """The own folder of a cell."""
    return out / CELLS / name


def fresh_folder(out: Path, name: str, mark: str) -> Path:
    """The own folder of a cell for this fingerprint; what another one left there goes."""
    own = folder(out, name)
    noted = own / MARK
    if own.is_dir() and not (noted.is_file() and noted.read_text(encoding="utf-8") == mark):
        shutil.rmtree(own)
    own.mkdir(parents=True, exist_ok=True)
    write_durably(noted, mark.encode())
    return own


def read(out: Path, name: str, mark: str) -> Measured | None:
    """What a cell measured under this fingerprint; None where there is none, or where it cannot be read."""
    try:
        found = json.loads((out / CELLS / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get(MARK) == mark else None


def write(out: Path, name: str, mark: str, measured: Measured) -> Measured:
    """Keep what a cell measured, whole or not at all; what `read` gives."""
    document = {**measured, MARK: mark}
    (out / CELLS).mkdir(parents=True, exist_ok=True)
    write_durably(out / CELLS / f"{name}.json", json.dumps(document, indent=1, allow_nan=False).encode())
    return json.loads(json.dumps(document))
