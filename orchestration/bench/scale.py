"""What 1,000, 10,000 and 100,000 clips cost, operation by operation: time a clip, and peak memory (design §3, §8).

Each operation is measured in a fresh process, which prints its seconds and its peak resident bytes: what one left in
memory is not charged to the next. The clips are synthetic and tiny, so that what is measured is the bookkeeping of a
clip and not its pixels.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestration.bench.scale_operations import OPERATIONS
from orchestration.home import Home

GOAL = 1.2
"""How much longer a clip may take at the most clips than at the fewest."""
SIZES = (1_000, 10_000, 100_000)
REPEATS, LONG_S = 3, 5.0
"""Fresh processes of an operation that can be repeated; one is enough where it takes longer than `LONG_S`."""
PLACES = ("FORESIGHT_DATABASE", "FORESIGHT_OBJECTS", "MLFLOW_TRACKING_URI", "FORESIGHT_START")
"""Whatever the environment says of a real programme's record is not this one's."""

Progress = Callable[[str, int, int, dict[str, float]], None]


class ScaleError(ValueError):
    """Sizes that cannot be compared."""


@dataclass(frozen=True)
class Reading:
    """One operation at one size."""

    seconds: float
    peak_bytes: int
    """Of the process that did it, its imports included."""


@dataclass(frozen=True)
class Growth:
    """One operation at all sizes, by the number of clips."""

    name: str
    constant: bool
    """Whether it should not depend on the number of clips: then its whole time is judged, else its time a clip."""
    readings: dict[int, Reading]

    def cost(self, clips: int) -> float:
        """What is judged, in seconds: of the whole, or of a clip."""
        return self.readings[clips].seconds / (1 if self.constant else clips)

    @property
    def ratio(self) -> float:
        """The cost at the most clips over that at the fewest."""
        return self.cost(max(self.readings)) / self.cost(min(self.readings))

    @property
    def steepest(self) -> float:
        """The largest ratio from one size to the next: what a start-up that is shared by few clips could hide."""
        sizes = sorted(self.readings)
        return max(self.cost(after) / self.cost(before) for before, after in pairwise(sizes))

    @property
    def memory_ratio(self) -> float:
        """The peak at the most clips over that at the fewest."""
        return self.readings[max(self.readings)].peak_bytes / self.readings[min(self.readings)].peak_bytes

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.ratio <= GOAL

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        readings = [
            {"clips": clips, **vars(one), "judged_seconds": self.cost(clips)} for clips, one in self.readings.items()
        ]
        judged = "whole" if self.constant else "clip"
        ratios = {"ratio": self.ratio, "steepest": self.steepest, "memory_ratio": self.memory_ratio, "met": self.met}
        return {"operation": self.name, "judged_by": judged, "readings": readings, **ratios}


def measure(sizes: Sequence[int] = SIZES, progress: Progress = lambda *_: None) -> list[Growth]:
    """All operations at all sizes, in a temporary folder.

    Args:
        sizes: numbers of clips, ascending, two at least.
        progress: called as (what, done, total, numbers).

    Raises:
        ScaleError: fewer than two sizes, or not ascending.
        RuntimeError: an operation failed in its process.
    """
    from orchestration.bench import scale_home

    if len(sizes) < 2 or min(sizes) < scale_home.FEWEST or list(sizes) != sorted(set(sizes)):
        raise ScaleError(f"bench: sizes {list(sizes)}; give two or more, ascending, each at least {scale_home.FEWEST}")
    done, total = 0, len(sizes) * (len(OPERATIONS) + 1)
    readings: dict[str, dict[int, Reading]] = {name: {} for name in OPERATIONS}
    with TemporaryDirectory() as folder:
        record = scale_home.make_record(Path(folder) / "record")
        for clips in sizes:
            progress(f"{clips:,} clips: writing them", done, total, {})
            home = scale_home.make(Path(folder) / str(clips), clips, record)
            done += 1
            for name, operation in OPERATIONS.items():
                progress(f"{clips:,} clips: {name}", done, total, {})
                readings[name][clips] = _least(name, home, 1 if operation.once else REPEATS)
                done += 1
            scale_home.remove(home)
    progress("measured", total, total, {})
    return [Growth(name, OPERATIONS[name].constant, by_size) for name, by_size in readings.items()]


def _least(name: str, home: Home, repeats: int) -> Reading:
    """The shortest of several processes: other work on the machine only adds."""
    readings: list[Reading] = []
    while len(readings) < repeats:
        readings.append(fresh(name, home))
        if readings[-1].seconds > LONG_S:
            break
    return Reading(min(one.seconds for one in readings), max(one.peak_bytes for one in readings))


def fresh(name: str, home: Home) -> Reading:
    """One operation in a process of its own."""
    command = [sys.executable, "-m", "orchestration.bench.scale_operations", name]
    env = {key: value for key, value in os.environ.items() if key not in PLACES}
    env |= {"FORESIGHT_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(f"bench scale: {name!r} failed ({reason}); run `foresight doctor`")
    return Reading(**json.loads(done.stdout.splitlines()[-1]))
