"""What a job has trained so far, in S3 while it goes on: each run below its folder, in its own place.

PREFIX/RUN/ (`orchestration.objects.trainings`), where RUN is the folder of an arm, or nothing.
"""

import threading
from collections.abc import Iterator
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
    over, known = threading.Event(), set(out.rglob(SAVED))
    thread = threading.Thread(target=_send, args=(store, prefix, out, over, known), name="checkpoints", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _send(store: "ObjectStore", prefix: str, out: Path, over: threading.Event, sent: set[Path]) -> None:
    """One look more after the end: what was saved last is what the next worker wants. A store that is away costs what
    was saved meanwhile, and is asked again at the next look.
    """
    from orchestration.objects.checkpoints import NotWhole
    from orchestration.objects.store import ObjectError
    from orchestration.objects.trainings import push_training

    last = False
    while not last:
        last = over.wait(LOOK_S)
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
