"""A training's checkpoints on their way between machines that share no disk: sent when whole, fetched to go on.

    PREFIX/history.jsonl, PREFIX/checkpoints/step-NNNNNNNN/, PREFIX/lora/

The history goes first: a checkpoint counts on as many lines of it as it has steps, and what is beyond them is cut.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from orchestration.objects.checkpoints import latest_checkpoint, pull_checkpoint, push_checkpoint
from orchestration.objects.folders import MANIFEST, pull_folder, push_folder
from orchestration.objects.store import ObjectStore, StoreAway, open_store

HISTORY, CHECKPOINTS, LORA = "history.jsonl", "checkpoints", "lora"
KEEP = 2


@dataclass(frozen=True)
class Checkpoints:
    """Those of one run, below one prefix of the objects at `url`."""

    url: str
    prefix: str

    @property
    def _store(self) -> ObjectStore:
        return open_store(self.url)

    def send(self, checkpoint: Path) -> None:
        """Send a whole checkpoint and the history that leads to it.

        Raises:
            ObjectError: the store refuses or does not answer.
        """
        self._store.put_file(checkpoint.parents[1] / HISTORY, f"{self.prefix}/{HISTORY}")
        push_checkpoint(self._store, checkpoint, f"{self.prefix}/{CHECKPOINTS}", keep=KEEP)

    def try_to_send(self, checkpoint: Path) -> None:
        """As `send`; a store that is away costs the steps since the last one sent, not the run.

        Raises:
            ObjectError: the store refuses.
        """
        try:
            self.send(checkpoint)
        except StoreAway as error:
            print(f"{checkpoint}: not sent; the next one is ({error})", file=sys.stderr, flush=True)

    def finish(self, checkpoint: Path) -> None:
        """Send what a finished run leaves: without it the run is not done.

        Raises:
            ObjectError: the store refuses or does not answer.
        """
        self.send(checkpoint)
        lora = checkpoint.parents[1] / LORA
        if lora.is_dir():
            push_folder(self._store, lora, f"{self.prefix}/{LORA}")

    def fetch(self, out: Path) -> None:
        """Bring what is there into the folder of a run, unless what it has is as new.

        Raises:
            ObjectError: the store refuses or does not answer.
        """
        there, store = latest_checkpoint(self._store, f"{self.prefix}/{CHECKPOINTS}"), self._store
        if there is not None and there > max((path.name for path in (out / CHECKPOINTS).glob("step-*")), default=""):
            pull_checkpoint(store, f"{self.prefix}/{CHECKPOINTS}", out / CHECKPOINTS)
            store.get_file(f"{self.prefix}/{HISTORY}", out / HISTORY)
        if store.exists(f"{self.prefix}/{LORA}/{MANIFEST}"):
            pull_folder(store, f"{self.prefix}/{LORA}", out / LORA)
