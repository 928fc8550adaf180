"""The checkpoints of one training on their way between workers that share no disk (`orchestration.objects.trainings`).

PREFIX/{history.jsonl, checkpoints/}, and PREFIX/lora/ once the run is done
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from orchestration.objects.folders import MANIFEST, pull_folder, push_folder
from orchestration.objects.store import ObjectStore, StoreAway, open_store
from orchestration.objects.trainings import pull_training, push_training

LORA = "lora"


@dataclass(frozen=True)
class Checkpoints:
    """Those of one run, below one prefix of the objects at `url`."""

    url: str
    prefix: str

    @property
    def _store(self) -> ObjectStore:
        return open_store(self.url)

    def try_to_send(self, checkpoint: Path) -> None:
        """Send a whole checkpoint; a store that is away costs the steps since the last one sent, not the run.

        Raises:
            ObjectError: the store refuses.
        """
        try:
            push_training(self._store, checkpoint, self.prefix)
        except StoreAway as error:
            print(f"{checkpoint}: not sent; the next one is ({error})", file=sys.stderr, flush=True)

    def finish(self, checkpoint: Path) -> None:
        """Send what a finished run leaves: without it the run is not done.

        Raises:
            ObjectError: the store refuses or does not answer.
        """
        push_training(self._store, checkpoint, self.prefix)
        lora = checkpoint.parents[1] / LORA
        if lora.is_dir():
            push_folder(self._store, lora, f"{self.prefix}/{LORA}")

    def fetch(self, out: Path) -> None:
        """Bring what is there into the folder of a run, unless what it has is as new.

        Raises:
            ObjectError: the store refuses or does not answer.
        """
        store = self._store
        pull_training(store, self.prefix, out)
        if store.exists(f"{self.prefix}/{LORA}/{MANIFEST}"):
            pull_folder(store, f"{self.prefix}/{LORA}", out / LORA)
