"""A training's whole checkpoints in S3 while it goes on, so that another worker goes on where this one was lost.

    PREFIX/RUN/history.jsonl, PREFIX/RUN/checkpoints/step-NNNNNNNN/

as in the folder of the job, where RUN is the folder of an arm, or nothing. The history goes first: a checkpoint counts
on as many lines of it as it has steps, and what is beyond them is cut when it is gone on from.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.objects.store import ObjectStore

LOOK_S = 2.0
KEEP = 2
HISTORY, CHECKPOINTS = "history.jsonl", "checkpoints"


def fetch(store: "ObjectStore", prefix: str, out: Path) -> list[Path]:
    """Bring the newest whole checkpoint of each run below a prefix to its place in `out`; which they are."""
    from orchestration.objects.checkpoints import pull_checkpoint

    fetched = []
    for key in [key for key in store.keys(f"{prefix}/") if key.endswith(f"/{HISTORY}")]:
        place = key.removesuffix(f"/{HISTORY}")
        run = out / place.removeprefix(prefix).strip("/")
        found = pull_checkpoint(store, f"{place}/{CHECKPOINTS}", run / CHECKPOINTS)
        if found is not None:
            store.get_file(key, run / HISTORY)
            fetched.append(found)
    return fetched


@contextmanager
def kept(store: "ObjectStore", prefix: str, out: Path) -> Iterator[None]:
    """Send each checkpoint that becomes whole below `out`, for the length of a `with`."""
    over, known = threading.Event(), set(out.rglob(f"{CHECKPOINTS}/step-*"))
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
    from orchestration.objects.checkpoints import NotWhole, push_checkpoint
    from orchestration.objects.store import ObjectError

    last = False
    while not last:
        last = over.wait(LOOK_S)
        for checkpoint in sorted(set(out.rglob(f"{CHECKPOINTS}/step-*")) - sent):
            run = checkpoint.parent.parent
            place = "/".join((prefix, *run.relative_to(out).parts))
            try:
                store.put_file(run / HISTORY, f"{place}/{HISTORY}")
                push_checkpoint(store, checkpoint, f"{place}/{CHECKPOINTS}", keep=KEEP)
            except (NotWhole, FileNotFoundError) as error:
                if checkpoint.is_dir():  # else a newer one took its place while it was read, and comes next
                    print(f"{checkpoint}: not sent ({error})", flush=True)
            except ObjectError as error:
                print(f"{checkpoint}: not sent yet ({error})", flush=True)
                continue
            sent.add(checkpoint)
