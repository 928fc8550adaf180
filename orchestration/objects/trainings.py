"""A training in the object store while it goes on, so that any machine goes on where another was lost.

    PREFIX/history.jsonl, PREFIX/checkpoints/step-NNNNNNNN/

as in the folder of the run. The history goes first: a checkpoint counts on as many lines of it as it has steps, and
what is beyond them is cut when it is gone on from.
"""

from pathlib import Path

from orchestration.objects.checkpoints import latest_checkpoint, pull_checkpoint, push_checkpoint
from orchestration.objects.store import ObjectStore

HISTORY, CHECKPOINTS = "history.jsonl", "checkpoints"
KEEP = 2
"""Checkpoints that stay in the store: were the newest damaged, the one before it would count."""


def push_training(store: ObjectStore, checkpoint: Path, prefix: str) -> None:
    """Send a whole checkpoint (`RUN/checkpoints/step-NNNNNNNN`) and the history that leads to it.

    Raises:
        NotWhole, FileNotFoundError: it is none, or no longer there.
        ObjectError: the store is away or refuses.
    """
    store.put_file(checkpoint.parents[1] / HISTORY, f"{prefix}/{HISTORY}")
    push_checkpoint(store, checkpoint, f"{prefix}/{CHECKPOINTS}", keep=KEEP)


def pull_training(store: ObjectStore, prefix: str, run: Path) -> Path | None:
    """Bring the newest whole checkpoint below a prefix, with its history, into the folder of the run.

    None where there is none, or where the folder has one as new.

    Raises:
        ObjectError: the store is away or refuses.
    """
    there = latest_checkpoint(store, f"{prefix}/{CHECKPOINTS}")
    if there is None or there <= max((path.name for path in (run / CHECKPOINTS).glob("step-*")), default=""):
        return None
    found = pull_checkpoint(store, f"{prefix}/{CHECKPOINTS}", run / CHECKPOINTS)
    if found is not None:
        store.get_file(f"{prefix}/{HISTORY}", run / HISTORY)
    return found


def trainings(store: ObjectStore, prefix: str) -> dict[str, str]:
    """The prefix of each training below one, by the place of its run's folder ("" for the prefix itself)."""
    found = [key.removesuffix(f"/{HISTORY}") for key in store.keys(f"{prefix}/") if key.endswith(f"/{HISTORY}")]
    return {key.removeprefix(prefix).strip("/"): key for key in found}
