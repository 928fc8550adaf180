"""Homes of so many synthetic clips: raw files and a manifest in a DVC workspace, beside a long record.

The clips are noise of a few pixels, each with a file of its own: what is done for each file, such as a hash, is done so
often. The record is the same at every size, since its length comes from runs and not from clips.
"""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.data.video import write_lossless
from orchestration.data.datasets import GENERATED
from orchestration.data.workspace import Workspace, repository_params
from orchestration.home import Home

if TYPE_CHECKING:
    from orchestration.documents import Evaluation

FRAMES, SIDE = 5, 8
"""Of a clip; height and width in pixels."""
FEWEST = 100
"""Clips that can be measured: fewer fill no shard."""
ADDED = 10
"""One clip more for so many, where clips are added."""
LEDGER_ROWS, MATERIALIZATIONS = 10_000, 500
"""Of the record."""
CLIPS_A_ROW = 10
"""Of the ledger that grows with the clips."""


def make(root: Path, clips: int, record: Home) -> Home:
    """A home whose workspace holds `clips` raw clips, and a copy of `record`."""
    shutil.copytree(record.root, root)
    home = Home(root)
    write_clips(home, 0, clips)
    params = repository_params()
    params["shards"].update(frames=FRAMES, size=SIDE)
    workspace_of(home).prepare(params)
    write_ledger(ledger_database(home), clips // CLIPS_A_ROW)
    return home


def remove(home: Home) -> None:
    """Make room for the next size."""
    shutil.rmtree(home.root)


def workspace_of(home: Home) -> Workspace:
    """The one workspace of such a home."""
    return Workspace(home.workspace(GENERATED), home.remote)


def ledger_database(home: Home) -> str:
    """The ledger whose length grows with the clips; the home's own does not."""
    return f"sqlite:///{home.root / 'ledger.db'}"


def write_clips(home: Home, first: int, last: int) -> None:
    """Raw clips number `first` to `last`, and a manifest of all up to `last`; every sixth is held out."""
    folder = home.workspace(GENERATED) / "data"
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    for number in range(first, last):
        noise = np.random.default_rng(number).integers(0, 256, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
        write_lossless(folder / _path(number), noise)
    rows = (
        {"id": f"c{number:06d}", "path": _path(number), "split": "train" if number % 6 else "heldout"}
        for number in range(last)
    )
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(text, encoding="utf-8")


def _path(number: int) -> str:
    return f"clips/{number:06d}.mkv"


def make_record(root: Path, *, rows: int = LEDGER_ROWS, materializations: int = MATERIALIZATIONS) -> Home:
    """A home without clips: a long ledger, and an evaluation materialized many times, the last one decided."""
    import dagster as dg

    from orchestration import groups
    from orchestration.instance import SETTINGS
    from orchestration.plan.programme import load
    from orchestration.record.decisions import DecisionLog
    from orchestration.record.store import Store

    home = Home(root)
    home.dagster.mkdir(parents=True)
    (home.dagster / "dagster.yaml").write_text(SETTINGS, encoding="utf-8")
    database = f"sqlite:///{root / 'foresight.db'}"
    write_ledger(database, rows)
    key = groups.key(GENERATED, "phase1_evaluation")
    evaluation = _evaluation(materializations - 1)
    decision = DecisionLog(Store(database)).decide(load(), evaluation, pins={"dataset": GENERATED})
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        for number in range(materializations):
            said = {"evaluation": dg.MetadataValue.json(_evaluation(number).document())}
            instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=said))
        decided = {"decision": dg.MetadataValue.json(decision.document())}
        gate = groups.key(GENERATED, "phase1_gate")
        instance.report_runless_asset_event(dg.AssetMaterialization(gate, metadata=decided))
    return home


def _evaluation(number: int) -> "Evaluation":
    """One that measured nothing: each number has its own hash."""
    from orchestration.documents import parse_evaluation

    return parse_evaluation(
        {
            "schema": "foresight.evaluation/1",
            "phase": 1,
            "profile": "laptop",
            "standins": True,
            "data_version": f"synthetic-{number}",
            "code_commit": "none",
            "weights": {},
            "runs": {},
            "n_clips": 0,
            "metrics": {},
        }
    )


def write_ledger(database: str, rows: int) -> None:
    """A ledger of finished runs, reserved, committed and settled in turn, without a GPU; `rows` rows at least."""
    from orchestration.record import store
    from orchestration.record.store import Store

    asked = {"phase": 1, "device": "cpu", "gpus": 0, "max_hours": 1.0, "experiment": "phase1", "person": "bench"}
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("reserve", asked),
        ("commit", {}),
        ("settle", {"wall_hours": 0.5, "ended": "done"}),
    )
    began = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    with Store(database).write() as connection:
        for number in range(-(-rows // len(steps))):
            key = f"{GENERATED}/phase1/run-{number}/1"
            for after, (step, what) in enumerate(steps):
                at = began + dt.timedelta(minutes=number, seconds=after)
                store.append(connection, store.ledger, at, {"key": key, "step": step, **what}, key=key, step=step)
