"""A training's whole checkpoints in S3 while it goes on, so that another worker goes on where this one was lost.

A checkpoint counts when its folder's manifest is there; the history that it counts on is sent before it. Older ones go
once a newer one is whole.
"""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.objects.store import ObjectStore

LOOK_S = 2.0
KEEP = 2
HISTORY = "history.jsonl"
CHECKPOINT = re.compile(r"(?P<run>.*?)/?checkpoints/(?P<step>step-\d+)")


def fetch(store: "ObjectStore", prefix: str, out: Path) -> list[str]:
    """Bring the newest whole checkpoint of each run below a prefix to its place in `out`; which they are.

    One whose bytes are not those that were put is passed over, and the one before it is taken.
    """
    from orchestration.objects.folders import pull_folder
    from orchestration.objects.store import ObjectDamaged

    fetched = []
    for run, steps in _whole(store, prefix).items():
        for name in sorted(steps, reverse=True):
            place = "/".join(filter(None, (run, "checkpoints", name)))
            try:
                pull_folder(store, f"{prefix}/{place}", out / place)
                store.get_file("/".join(filter(None, (prefix, run, HISTORY))), out / run / HISTORY)
            except ObjectDamaged as error:
                warnings.warn(f"passed over: {error}", stacklevel=2)
                continue
            fetched.append(place)
            break
    return fetched


@contextmanager
def kept(store: "ObjectStore", prefix: str, out: Path) -> Iterator[None]:
    """Send each checkpoint that becomes whole below `out`, for the length of a `with`."""
    over, sent = threading.Event(), set(_places(out))
    thread = threading.Thread(target=_send, args=(store, prefix, out, over, sent), name="checkpoints", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _send(store: "ObjectStore", prefix: str, out: Path, over: threading.Event, sent: set[str]) -> None:
    from orchestration.objects.store import ObjectError

    last = False
    while not last:
        last = over.wait(LOOK_S)
        for place in (place for place in _places(out) if place not in sent):
            try:
                _push(store, prefix, out, place)
            except FileNotFoundError:
                continue  # a newer one took its place while it was read; that one comes next
            except ObjectError as error:
                print(f"{place}: not yet in S3 ({error})", flush=True)
                continue
            sent.add(place)


def _push(store: "ObjectStore", prefix: str, out: Path, place: str) -> None:
    from orchestration.objects.folders import push_folder

    run = _run(place)
    store.put_file(out / run / HISTORY, "/".join(filter(None, (prefix, run, HISTORY))))
    push_folder(store, out / place, f"{prefix}/{place}")
    for old in sorted(_whole(store, prefix)[run])[:-KEEP]:
        _remove(store, "/".join(filter(None, (prefix, run, "checkpoints", old))))


def _remove(store: "ObjectStore", prefix: str) -> None:
    """The manifest first: what is left of it then is no checkpoint."""
    from orchestration.objects.folders import MANIFEST

    store.remove(f"{prefix}/{MANIFEST}")
    for key in list(store.keys(f"{prefix}/")):
        store.remove(key)


def _whole(store: "ObjectStore", prefix: str) -> dict[str, list[str]]:
    """The whole checkpoints below a prefix, by run."""
    from orchestration.objects.folders import MANIFEST

    found: dict[str, list[str]] = {}
    for key in store.keys(f"{prefix}/"):
        named = CHECKPOINT.fullmatch(key.removeprefix(f"{prefix}/").removesuffix(f"/{MANIFEST}"))
        if named and key.endswith(f"/{MANIFEST}"):
            found.setdefault(named["run"], []).append(named["step"])
    return found


def _places(out: Path) -> list[str]:
    """The checkpoints below a folder; one that is being written has another name."""
    found = (str(path.relative_to(out)) for path in out.rglob("checkpoints/step-*"))
    return sorted(place for place in found if CHECKPOINT.fullmatch(place))


def _run(place: str) -> str:
    named = CHECKPOINT.fullmatch(place)
    assert named
    return named["run"]
