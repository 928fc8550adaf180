"""What a job has made so far, in S3 while it goes on.

Of a training its newest checkpoints, in PREFIX/RUN/ (`orchestration.objects.trainings`), where RUN is the folder of an
arm, or nothing. Of an extraction its finished files, in PREFIX/ (`orchestration.objects.extractions`).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.objects.store import ObjectStore

LOOK_S = 2.0
SAVED = "checkpoints/step-*"


def fetch(store: "ObjectStore", prefix: str, out: Path) -> list[Path]:
    """Bring the newest whole checkpoint of each run below a prefix to its place in `out`; which they are."""
    from orchestration.objects.trainings import pull_training, trainings

    found = [pull_training(store, place, out / run) for run, place in trainings(store, prefix).items()]
    return [checkpoint for checkpoint in found if checkpoint is not None]


@contextmanager
def kept(store: "ObjectStore", prefix: str, out: Path) -> Iterator[None]:
    """Send each checkpoint that becomes whole below `out`, for the length of a `with`."""
    sent = set(out.rglob(SAVED))
    with _beside(lambda: _send_checkpoints(store, prefix, out, sent)):
        yield


@contextmanager
def kept_extraction(store: "ObjectStore", prefix: str, folder: Path) -> Iterator[None]:
    """Send each file of features that a folder names, for the length of a `with`."""
    from models.data.features import STORE, read_store

    sent = set(read_store(folder).shards.values()) if (folder / STORE).is_file() else set()
    with _beside(lambda: _send_features(store, prefix, folder, sent)):
        yield


def forget(store: "ObjectStore", prefix: str) -> None:
    """Remove what led to a result that is there."""
    for key in list(store.keys(f"{prefix}/")):
        store.remove(key)


@contextmanager
def _beside(send: Callable[[], None]) -> Iterator[None]:
    """Do it again and again beside the work, and once more after its end: what was saved last is what the next worker
    wants.
    """
    over = threading.Event()

    def again() -> None:
        last = False
        while not last:
            last = over.wait(LOOK_S)
            try:
                send()
            except Exception as error:  # a folder that went while it was read must not end what looks again
                print(f"what is made so far was not sent ({' '.join(str(error).split())})", flush=True)

    thread = threading.Thread(target=again, name="partial results", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _send_checkpoints(store: "ObjectStore", prefix: str, out: Path, sent: set[Path]) -> None:
    """A store that is away costs what was saved meanwhile, and is asked again at the next look."""
    from orchestration.objects.checkpoints import NotWhole
    from orchestration.objects.store import ObjectError
    from orchestration.objects.trainings import push_training

    for checkpoint in sorted(set(out.rglob(SAVED)) - sent):
        place = "/".join((prefix, *checkpoint.parents[1].relative_to(out).parts))
        try:
            push_training(store, checkpoint, place)
        except (NotWhole, FileNotFoundError) as error:
            if checkpoint.is_dir():  # else a newer one took its place while it was read, and comes next
                print(f"{checkpoint}: not sent ({error})", flush=True)
        except ObjectError as error:
            print(f"{checkpoint}: not sent yet ({error})", flush=True)
            continue
        sent.add(checkpoint)


def _send_features(store: "ObjectStore", prefix: str, folder: Path, sent: set[str]) -> None:
    """As the checkpoints."""
    from models.data.features import STORE
    from orchestration.objects.extractions import push_extraction
    from orchestration.objects.store import ObjectError

    if (folder / STORE).is_file():
        try:
            push_extraction(store, folder, prefix, sent)
        except ObjectError as error:
            print(f"{folder}: not sent yet ({error})", flush=True)
