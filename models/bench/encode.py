"""Extraction of features over the bare encoder: clips a second, and whether memory grows with the number of clips.

    python -m models.bench.encode ENCODER SHARDS FEATURES

extracts once and prints the peak resident bytes of its process: how a fresh process is measured.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median

import torch

from models.bench import workspace
from models.bench.setting import BenchError
from models.data.features import extract
from models.data.shards import ClipShards
from models.encoders.base import Encoder
from models.encoders.registry import load_encoder
from models.encoders.stored import tokens_of
from models.memory import peak_resident
from models.standins import shelf

ENCODERS = ("dinov2", "qwen")
GOAL = 0.9
FLAT = 1.05
"""How much higher than at the fewest clips the peak may be at the most and still be called flat."""
FEW, MANY, ROUNDS = 100, 1000, 5


@dataclass(frozen=True)
class EncodeFigure:
    """One encoder's extraction on this machine."""

    encoder: str
    clips: int
    extraction: float
    """Clips a second from shards into a store; the median of the rounds, as the next."""
    bare: float
    """Clips a second of the encoder's forward on the same batches in memory."""
    peaks: dict[int, int]
    """Peak resident bytes of a fresh process by the number of clips that it extracts."""

    @property
    def ratio(self) -> float:
        """Goal: 0.9 or better."""
        return self.extraction / self.bare

    @property
    def growth(self) -> float:
        """Peak at the most clips over that at the fewest; 1 is flat."""
        return self.peaks[max(self.peaks)] / self.peaks[min(self.peaks)]


def measure(name: str, *, few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> EncodeFigure:
    """The stand-in of an encoder, on generated clips: speed on the few, memory on both.

    Raises:
        BenchError: there is no stand-in of this encoder.
    """
    if name not in ENCODERS:
        raise BenchError(f"bench: no stand-in of an encoder {name!r}; there are {' and '.join(ENCODERS)}")
    encoder = load_encoder(name, shelf.folder(name), stride=workspace.TEMPORAL)
    with tempfile.TemporaryDirectory() as folder:
        places = {clips: Path(folder) / str(clips) for clips in (few, many)}
        for clips, place in places.items():
            workspace.shards(place, clips)
        extraction, bare = _speed(encoder, ClipShards(places[few] / "shards"), Path(folder), rounds)
        peaks = {clips: _fresh(name, place) for clips, place in places.items()}
    return EncodeFigure(name, few, few / extraction, few / bare, peaks)


def _speed(encoder: Encoder, shards: ClipShards, folder: Path, rounds: int) -> tuple[float, float]:
    """Median seconds of an extraction and of the bare forward, in turn, after one round that does not count."""
    size = workspace.BATCH
    ids = [shards.ids_of(shard) for shard in shards.shard_sha256]
    picked = [some[first : first + size] for some in ids for first in range(0, len(some), size)]
    batches = [torch.from_numpy(shards.frames(some)) for some in picked]
    names = count()

    def through_the_store() -> None:
        _extract(encoder, shards, folder / f"features-{next(names)}")

    def forward_only() -> None:
        for batch in batches:
            encoder(batch)

    extraction, bare = [], []
    for _ in range(rounds + 1):
        for run, times in ((through_the_store, extraction), (forward_only, bare)):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
    return median(extraction[1:]), median(bare[1:])


def _extract(encoder: Encoder, shards: ClipShards, out: Path) -> None:
    extract(
        shards,
        out,
        tokens_of(encoder),
        name=encoder.name,
        fingerprint="benchmark",
        weights_sha256=encoder.weights_sha256,
        standin=encoder.standin,
        batch=workspace.BATCH,
    )


def _fresh(name: str, place: Path) -> int:
    """Peak resident bytes of a fresh process that extracts the shards of a place."""
    command = [sys.executable, "-m", "models.bench.encode", name, str(place / "shards"), str(place / "features")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(f"bench encode: the extraction in a fresh process failed ({reason}); run `foresight doctor`")
    return int(done.stdout.split()[-1])


def main(name: str, shards: str, out: str) -> None:
    """Extract once, and print the peak."""
    encoder = load_encoder(name, shelf.folder(name), stride=workspace.TEMPORAL)
    _extract(encoder, ClipShards(Path(shards)), Path(out))
    print(peak_resident())


if __name__ == "__main__":
    main(*sys.argv[1:])
