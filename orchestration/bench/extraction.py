"""Extraction by one and by two workers of one Ray cluster: clips a second, and what their start-up costs (ADR 20)."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.bench import workspace
from models.data.features import Store, collect
from models.data.generated import write_dataset
from models.data.shards import ClipShards, build_shards
from orchestration.data.workspace import repository_params
from orchestration.parallel.cluster import connected
from orchestration.parallel.extraction import Loading, extractors

GOAL = 0.9
PER_SHARD = 16
COUNTS = (1, 2)


@dataclass(frozen=True)
class Pace:
    """So many workers over the same clips."""

    workers: int
    startup_s: float
    """From asking for them until all have loaded the network."""
    extraction_s: float
    """From then on until the last file is named in the store."""
    clips: int

    @property
    def clips_per_s(self) -> float:
        """Once they have loaded."""
        return self.clips / self.extraction_s

    @property
    def lost(self) -> float:
        """Share of the whole time that start-up took, 0..1."""
        return self.startup_s / (self.startup_s + self.extraction_s)


@dataclass(frozen=True)
class ExtractionFigure:
    """An encoder's stand-in on this machine."""

    encoder: str
    paces: tuple[Pace, ...]

    @property
    def linear(self) -> float:
        """Clips a second of the most workers over as many times those of one; 1 is linear. Goal: 0.9 or better."""
        first, last = self.paces[0], self.paces[-1]
        return last.clips_per_s / (first.clips_per_s * last.workers / first.workers)


def measure(encoder: str, clips: int) -> ExtractionFigure:
    """One after the other, each with workers of its own that have one CPU and one thread.

    Raises:
        ExtractionFailed: a worker could not load, or failed.
    """
    params = repository_params()[encoder]
    with tempfile.TemporaryDirectory(prefix="foresight-bench-") as folder, connected():
        shards, at = _shards(Path(folder), clips), Path(folder)
        paces = tuple(_pace(encoder, params, shards, at / f"features-{count}", count) for count in COUNTS)
    return ExtractionFigure(encoder, paces)


def _shards(folder: Path, clips: int) -> ClipShards:
    write_dataset(folder / "data", clips, 0, workspace.SEED, frames=workspace.FRAMES, size=workspace.SIDE)
    frames, side = workspace.FRAMES, workspace.SIDE
    build_shards(folder / "data", folder / "shards", frames=frames, size=side, clips_per_shard=PER_SHARD)
    return ClipShards(folder / "shards")


def _pace(encoder: str, params: Mapping[str, object], shards: ClipShards, out: Path, count: int) -> Pace:
    began = time.perf_counter()
    with extractors(Loading(encoder, params), count, shards) as workers:
        standin, loaded = workers.standin(), time.perf_counter()
        store = Store(encoder, "benchmark", encoder, str(params["weights_sha256"]), standin)
        made = collect(shards, out, workers.source, store, batch=workspace.BATCH)
        ended = time.perf_counter()
    return Pace(count, loaded - began, ended - loaded, made)
