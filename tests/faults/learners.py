"""What the workers of a cluster learn in the fault tests, and what befalls each once."""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from models.training import checkpoint
from models.training.loop import TrainResult
from models.training.parallel import Workers
from orchestration.jobs import Job
from tests.models.training import runs, toy

SCRATCH = "FORESIGHT_TEST_SCRATCH"
"""The disk of a node: no other node reads it."""
LOOP = toy.loop(steps=12, accumulation=2, batch=5, checkpoint_every=3)
CHOICES: dict[str, Any] = {"pixel_every": 3}


@dataclass(frozen=True)
class Trouble:
    """What befalls the worker of a rank before a step, once: `mark` says that it has."""

    kind: str
    rank: int
    step: int
    mark: Path

    def comes(self, rank: int, step: int) -> bool:
        """Whether it is now."""
        if (rank, step) != (self.rank, self.step) or self.mark.exists():
            return False
        self.mark.write_text(f"rank {rank}, step {step}")
        return True


def learn(
    job: Job,
    arm: str,
    out: Path,
    progress: Any,
    left: Callable[[], float],
    *,
    kept: Any,
    workers: Workers,
    trouble: Trouble | None,
    pace_s: float = 0.0,
) -> TrainResult:
    """Phase 1 on the toy data."""
    torch.set_num_threads(1)
    found = checkpoint.latest(out / "checkpoints") if workers.first else None
    step = workers.tell(found.step if found else 0) - 1

    def until() -> float:
        nonlocal step
        step += 1
        time.sleep(pace_s)
        if trouble and trouble.comes(workers.rank, step):
            BEFALLS[trouble.kind]()
        return left()

    return runs.train("phase1", out, LOOP, progress, left=until, kept=kept, workers=workers, **CHOICES)


@contextmanager
def on_own_disk(job: Job) -> Iterator[Job]:
    """The job with its folder on the disk of this node."""
    yield job.model_copy(update={"out": Path(os.environ[SCRATCH]) / job.dataset})


def die() -> None:
    """At once."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_a_file() -> None:
    """When half of the next checkpoint's optimizer is written."""
    whole = checkpoint.save_file

    def save_file(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if path.name != "optimizer.safetensors":
            return whole(tensors, path)
        content = save(tensors)
        path.write_bytes(content[: len(content) // 2])
        die()
        return None

    checkpoint.save_file = save_file


def fill_the_disk() -> None:
    """No file of this process can grow beyond what half a checkpoint needs; Python turns the signal into an error."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))


BEFALLS = {"killed": die, "killed in a checkpoint": die_in_a_file, "disk full": fill_the_disk}


@dataclass(frozen=True)
class Encoding:
    """An encoder that adds up what it sees; the process that meets a clip of the sum `deadly` dies, once or always."""

    deadly: int
    mark: Path
    always: bool = False

    def __call__(self) -> tuple[Any, bool]:
        """Loaded once for each worker: each adds a line to say so."""
        with self.mark.with_suffix(".loads").open("a") as loads:
            loads.write(f"{os.getpid()}\n")
        return self._encode, True

    def _encode(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        sums = frames.sum((1, 2, 3, 4), dtype=np.int64)
        if self.deadly in sums and (self.always or not self.mark.exists()):
            self.mark.touch()
            die()
        return {"tokens": frames[:, ::2].mean((2, 3)), "total": sums}
