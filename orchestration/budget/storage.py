"""The storage budget: measured bytes of what a home holds, and of 100,000 clips at that size, against the caps.

The caps are D.2's, a phase each, by its notes: DINOv2's features in Phase 1, the VLM's in Phase 2, the latents ("full
video") in Phase 3, and each phase's own checkpoints. §3.1's cap is of DINOv2's features alone. Clips, shards and the
copies that DVC and MLflow keep are in no cap of the proposal; they are told beside. A gigabyte is 10^9 bytes.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.data.datasets import known
from orchestration.documents import Phase
from orchestration.home import Home
from orchestration.plan import programme

PHASE_OF: dict[str, Phase] = {"dinov2": 1, "qwen": 2, "latents": 3}
CLIPS = 100_000
GB = 1e9


class StorageRefused(RuntimeError):
    """Features that would not fit their phase's storage (exit 3)."""

    exit_code = 3


@dataclass(frozen=True)
class Stored:
    """One part of what a home holds."""

    dataset: str
    what: str
    phase: int | None
    """Whose cap it counts against; None where no cap of the proposal is meant for it."""
    size: int
    """Bytes."""
    clips: int = 0
    """How many clips they are of; 0 where the size does not grow with the clips."""
    standin: bool = False


def require_room(stage: str, size: int, clips: int, of_clips: int) -> None:
    """Refuse a store that would pass its phase's cap, projected from the files that are done.

    Args:
        size: bytes of the files that are done.
        clips: clips in them.
        of_clips: clips that there will be.

    Raises:
        StorageRefused: it would.
    """
    caps = programme.load().budget.storage_gb
    phase = PHASE_OF[stage]
    cap, projected = caps.phases[phase], size / clips * of_clips / GB
    if projected > cap:
        raise StorageRefused(
            f"{stage}: {clips} clips take {size / GB:.3g} GB, so {of_clips} take {projected:.3g} GB, past the"
            f" {cap:g} GB of phase {phase} (§{caps.section}); take fewer clips, or int8 (`precision` in params.yaml)"
        )


def document(home: Home) -> dict[str, Any]:
    """What is stored and what 100,000 clips would take, against the caps."""
    caps, parts = programme.load().budget.storage_gb, list(stored(home))
    phases = [
        {"phase": int(phase), "section": caps.section, **_against(cap, [one for one in parts if one.phase == phase])}
        for phase, cap in sorted(caps.phases.items())
    ]
    dinov2 = [one for one in parts if one.what == "dinov2"]
    return {
        "phases": phases,
        "features": {"section": caps.features.section, **_against(caps.features.at, dinov2)},
        "beside_gb": sum(one.size for one in parts if one.phase is None) / GB,
        "projected_clips": CLIPS,
        "standins": any(one.standin for one in parts),
        "parts": [{**one.__dict__, "a_clip": one.size / one.clips if one.clips else None} for one in parts],
    }


def stored(home: Home) -> Iterable[Stored]:
    """Every part, from the indexes of the stores where there are any, else by looking."""
    for dataset in (one.name for one in known(home)):
        root = home.workspace(dataset)
        if root.is_dir():
            yield Stored(dataset, "clips", None, _size(root / "data"))
            yield from _shards(dataset, root)
            yield from (one for name in PHASE_OF for one in _features(dataset, root, name))
            yield Stored(dataset, "DVC's cache", None, _size(root / ".dvc" / "cache"))
        for phase in (1, 2, 3):
            if size := _size(home.run(dataset, f"phase{phase}")):
                yield Stored(dataset, "checkpoints and results", phase, size)
    yield Stored("all", "DVC's remote", None, _size(home.remote))
    yield Stored("all", "MLflow's record", None, _size(home.mlflow))


def _shards(dataset: str, root: Path) -> Iterable[Stored]:
    clips = _clips(root)
    if clips:
        yield Stored(dataset, "shards", None, _size(root / "shards"), sum(clips.values()))


def _features(dataset: str, root: Path, name: str) -> Iterable[Stored]:
    """The files that the store names, and the clips in them."""
    from orchestration.stages.tokens import FOLDERS

    folder = root / FOLDERS[name]
    index = folder / "store.json"
    if not index.is_file():
        return
    store, clips = json.loads(index.read_text(encoding="utf-8")), _clips(root)
    files = [folder / shard for shard in store["shards"] if (folder / shard).is_file()]
    done = sum(clips.get(file.name, 0) for file in files)
    yield Stored(dataset, name, PHASE_OF[name], sum(file.stat().st_size for file in files), done, store["standin"])


def _clips(root: Path) -> dict[str, int]:
    """Clips by shard, from the index."""
    path = root / "shards" / "index.parquet"
    if not path.is_file():
        return {}
    import pyarrow.parquet as pq

    counts = pq.read_table(path, columns=["shard"]).column("shard").value_counts()
    return {entry["values"]: entry["counts"] for entry in counts.to_pylist()}


def _size(folder: Path) -> int:
    """Bytes of all files; one that goes away meanwhile, as an old checkpoint does, is not there."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(parent) / name).stat().st_size
    return total


def _against(cap: float, parts: list[Stored]) -> dict[str, Any]:
    """Measured and projected gigabytes against a cap; what several datasets have of one store is of one size a clip."""
    projected = sum(one.size for one in parts if not one.clips) / GB
    for what in {one.what for one in parts if one.clips}:
        mine = [one for one in parts if one.what == what and one.clips]
        projected += sum(one.size for one in mine) / sum(one.clips for one in mine) * CLIPS / GB
    measured = any(one.clips for one in parts)
    return {
        "cap_gb": cap,
        "used_gb": sum(one.size for one in parts) / GB,
        "projected_gb": projected if measured else None,
        "verdict": ("within" if projected <= cap else "over") if measured else None,
    }
