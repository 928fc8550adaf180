"""The operations that `foresight bench scale` measures, in the order in which they are done to a home.

    FORESIGHT_HOME=HOME python -m orchestration.bench.scale_operations NAME

does one of them and prints its seconds and the peak resident bytes of its process. Imports, and opening what an
operation is given open, are not timed: a second of them would hide what a clip costs among 1,000.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestration.data.datasets import GENERATED, Dataset
from orchestration.home import Home

BATCH = 16
"""Clips that are read or encoded at once."""
STREAM = "dinov2"
COMMITTED = ("clips", "shards", STREAM)

Timed = Callable[[], Any]


@dataclass(frozen=True)
class Operation:
    """One thing that is done to a home."""

    ready: Callable[[Home], Timed]
    """Imports and opens what it needs, or does it once where it imports as it goes; what it gives back is timed."""
    constant: bool = False
    """Whether the number of clips should make no difference."""
    once: bool = False
    """Whether one process is enough: it changes the home, or imports for longer than it works."""


def _ingest(home: Home) -> Timed:
    import models.data.shards  # noqa: F401  the stage imports it only when it runs
    from orchestration.stages import shards

    os.chdir(home.workspace(GENERATED))
    return lambda: shards.run("shards", None, _silent)


def _ingest_more(home: Home) -> Timed:
    from models.data.shards import ClipShards
    from orchestration.bench.scale_home import ADDED, write_clips

    known = len(ClipShards(home.workspace(GENERATED) / "shards").table)
    write_clips(home, known, known + known // ADDED)
    return _ingest(home)


def _open_shards(home: Home) -> Timed:
    from models.data.shards import ClipShards

    def opened() -> None:
        shards = ClipShards(home.workspace(GENERATED) / "shards")
        shards.ids("heldout")
        shards.ids_of(next(iter(shards.shard_sha256)))

    return opened


def _extract(home: Home) -> Timed:
    import numpy as np

    from models.data.features import extract
    from models.data.shards import ClipShards
    from orchestration.stages.parameters import section
    from orchestration.stages.tokens import FOLDERS, expected

    root = home.workspace(GENERATED)
    params = section(STREAM, root)

    def encode(frames: np.ndarray) -> dict[str, np.ndarray]:
        tokens = frames.reshape(len(frames), frames.shape[1], -1, 24).astype(np.float32) / 255
        return {"tokens": tokens, "positions": np.zeros((tokens.shape[2], 2))}

    return lambda: extract(
        ClipShards(root / "shards"),
        root / FOLDERS[STREAM],
        encode,
        name=STREAM,
        fingerprint=expected(STREAM, params),
        weights_sha256=params["weights_sha256"],
        standin=True,
        batch=BATCH,
    )


def _open_features(home: Home) -> Timed:
    from models.data.shards import ClipShards
    from orchestration.stages.tokens import open_store

    root = home.workspace(GENERATED)
    return lambda: open_store(root, STREAM, ClipShards(root / "shards")).missing


def _read(home: Home) -> Timed:
    from models.data.shards import ClipShards
    from models.training.sampler import Sampler
    from orchestration.stages.tokens import open_store

    root = home.workspace(GENERATED)
    store = open_store(root, STREAM, ClipShards(root / "shards"))
    ids = store.shards.ids()
    store.read(ids[:1])

    def read() -> None:
        sampler = Sampler(len(ids), seed=0)
        for first in range(0, len(ids), BATCH):
            batch = [ids[number] for number in sampler.take(first, BATCH)]
            store.shards.frames(batch)
            store.read(batch)

    return read


def _commit(home: Home) -> Timed:
    import dvc.repo  # noqa: F401  the workspace imports it only when it is asked

    from orchestration.bench.scale_home import workspace_of

    workspace = workspace_of(home)
    return lambda: [workspace.commit(stage) for stage in COMMITTED]


def _fresh(home: Home) -> Timed:
    import dvc.repo  # noqa: F401  as above

    from orchestration.bench.scale_home import workspace_of

    workspace = workspace_of(home)

    def asked() -> None:
        stale = [stage for stage in COMMITTED if not workspace.fresh(stage)]
        if stale:
            raise RuntimeError(f"{home.root}: {', '.join(stale)} not as committed; measure again in a home of its own")

    return asked


def _validate(home: Home) -> Timed:
    import great_expectations  # noqa: F401  its import is not what grows

    from orchestration.bench.scale_home import workspace_of
    from orchestration.data import validation

    workspace = workspace_of(home)

    def validated() -> None:
        validation.validate(validation.clip_table(workspace), validation.CLIP_TABLE)
        validation.validate(validation.feature_table(STREAM)(workspace), validation.FEATURES)

    return validated


def _ledger(home: Home) -> Timed:
    from orchestration.bench.scale_home import ledger_database
    from orchestration.budget.ledger import Ledger
    from orchestration.plan.programme import load
    from orchestration.record.store import Store

    ledger = Ledger(Store(ledger_database(home)), load())
    return ledger.summary


def _definitions(home: Home) -> Timed:
    def loaded() -> None:
        import orchestration.definitions  # noqa: F401

    return loaded


def _tick(home: Home) -> Timed:
    import dagster as dg

    from orchestration.instance import instance
    from orchestration.resources import Foresight
    from orchestration.sensors import sensors

    stored = instance(home)
    resources = {"foresight": Foresight(home_folder=str(home.root), profile_name="laptop")}

    def ticked() -> None:
        with dg.build_sensor_context(stored, resources=resources) as context:
            for sensor in sensors(Dataset(GENERATED, GENERATED)):
                sensor.evaluate_tick(context)

    ticked()
    return ticked


def _status(home: Home) -> Timed:
    from orchestration.cli.status import gather

    gather(home, GENERATED)
    return lambda: json.dumps(gather(home, GENERATED))


OPERATIONS: dict[str, Operation] = {
    "ingest": Operation(_ingest, once=True),
    "ingest, nothing new": Operation(_ingest),
    "open shards, ids": Operation(_open_shards),
    "extract features": Operation(_extract, once=True),
    "open features": Operation(_open_features),
    "read an epoch": Operation(_read),
    "DVC commit, push": Operation(_commit, once=True),
    "DVC status": Operation(_fresh),
    "validation": Operation(_validate, once=True),
    "ledger, 0.1 row a clip": Operation(_ledger),
    "definitions load": Operation(_definitions, constant=True),
    "sensor tick": Operation(_tick, constant=True),
    "foresight status": Operation(_status, constant=True),
    "ingest a tenth more": Operation(_ingest_more, once=True),
}


def _silent(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
    """Nobody listens in such a process."""


def main(name: str) -> None:
    """Do one operation to the home of the environment and print what it took."""
    from models.memory import peak_resident

    timed = OPERATIONS[name].ready(Home.find())
    began = time.perf_counter()
    timed()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_resident()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
