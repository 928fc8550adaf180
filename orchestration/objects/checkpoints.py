"""Checkpoints of a run in the object store: only whole ones are sent, and only whole ones count.

    PREFIX/step-00000400/{files/SHA256, manifest.json}

The manifest is written last, so one that was being sent when its worker died is passed over, as
`models/training/checkpoint.py` passes over what was half written on a disk. No torch is needed to send or fetch one.
"""

import json
import re
import warnings
from pathlib import Path

from orchestration.objects.folders import MANIFEST, listing, pull_folder, push_folder
from orchestration.objects.store import ObjectDamaged, ObjectMissing, ObjectStore

_WHOLE = re.compile(rf"(step-\d+)/{re.escape(MANIFEST)}")


class NotWhole(ValueError):
    """A folder that is no whole checkpoint."""


def push_checkpoint(store: ObjectStore, folder: Path, prefix: str, *, keep: int) -> str:
    """Send the checkpoint `folder` (`.../step-NNNNNNNN`) and remove all but the newest `keep`; gives its manifest's
    sha256.

    Raises:
        NotWhole: a file is missing or is not what state.json says; nothing was sent.
        ObjectError: the store is away or refuses; the older checkpoints stand.
    """
    _require_whole(folder)
    sha256 = push_folder(store, folder, f"{prefix}/{folder.name}")
    for gone in pushed(store, prefix)[keep:]:
        store.remove(f"{prefix}/{gone}/{MANIFEST}")  # first: from here on it does not count
        for key in list(store.keys(f"{prefix}/{gone}/")):
            store.remove(key)
    return sha256


def pushed(store: ObjectStore, prefix: str) -> list[str]:
    """The names of the whole checkpoints below a prefix, newest first."""
    start = len(f"{prefix}/")
    found = (_WHOLE.fullmatch(key[start:]) for key in store.keys(f"{prefix}/step-"))
    return sorted((match[1] for match in found if match), reverse=True)


def latest_checkpoint(store: ObjectStore, prefix: str) -> str | None:
    """The name of the newest whole checkpoint below a prefix, or None."""
    return next(iter(pushed(store, prefix)), None)


def pull_checkpoint(store: ObjectStore, prefix: str, folder: Path) -> Path | None:
    """Fetch the newest checkpoint that arrives undamaged to `folder/step-NNNNNNNN`; None where there is none.

    Damaged ones are passed over with a warning: an older one costs steps, a damaged one would cost the run.

    Raises:
        ObjectError: the store is away or refuses.
    """
    for name in pushed(store, prefix):
        try:
            pull_folder(store, f"{prefix}/{name}", folder / name)
            return folder / name
        except (ObjectDamaged, ObjectMissing) as error:
            warnings.warn(f"passed over a checkpoint: {error}", stacklevel=2)
    return None


def _require_whole(folder: Path) -> None:
    there = listing(folder)
    try:
        said = json.loads((folder / "state.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError) as error:
        raise NotWhole(f"{folder}: no whole checkpoint (state.json: {error}); send one that was saved") from error
    wrong = sorted(name for name, sha256 in said.items() if there.get(name, {}).get("sha256") != sha256)
    if wrong:
        raise NotWhole(f"{folder}: {wrong[0]} is not what state.json says; send a whole checkpoint")
