"""Which versions of a workspace are published: all their objects were seen in the remote after they were pushed.

DVC writes dvc.lock before it pushes. A push that is killed therefore leaves a version that no other machine can have,
and DVC calls its stage fresh. So publication is a step of its own, after the push, noted in `published.json` beside
dvc.lock with the remote that it holds for.
"""

import json
import os
from pathlib import Path

NOTE = "published.json"


def published(root: Path, remote: str, stage: str, version: str) -> bool:
    """Whether a stage's version was seen whole in this remote."""
    return _read(root, remote).get(stage) == version


def note(root: Path, remote: str, versions: dict[str, str]) -> None:
    """Say of these stages' versions that they are whole in this remote."""
    document = {"remote": remote, "stages": {**_read(root, remote), **versions}}
    part = root / f"{NOTE}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(root / NOTE)


def _read(root: Path, remote: str) -> dict[str, str]:
    """What holds for this remote; a note that cannot be read says nothing, and the next run looks again."""
    try:
        document = json.loads((root / NOTE).read_text(encoding="utf-8"))
        return document["stages"] if document["remote"] == remote else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
