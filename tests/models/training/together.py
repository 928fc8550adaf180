"""Training runs of several workers, each a process of its own in one gloo group."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as group

from models.training.config import LoopConfig
from models.training.parallel import Workers
from tests.models.training import runs, toy

PATIENCE_S = 120
NOTHING = "nothing"
"""The folder of a worker that is not the first: nothing is written there."""


@dataclass(frozen=True)
class Trouble:
    """What befalls a run; a moment is (rank, the step before which it is)."""

    killed: tuple[int, int] | None = None
    out_of_time: tuple[int, int] | None = None
    spoiled: str = ""
    """A clip whose latents are NaN once training has begun."""


def train(
    context: BaseContext,
    phase: str,
    folder: Path,
    loop: LoopConfig,
    workers: int,
    trouble: Trouble = Trouble(),
    **choices: Any,
) -> dict[int, Any]:
    """Train a phase in `folder` with so many workers; by rank its losses, or as text the error that it raised.

    A worker that was killed gave nothing.
    """
    folder.mkdir(exist_ok=True)
    meeting, results = folder / f"meeting-{time.monotonic_ns()}", context.SimpleQueue()
    arguments = (phase, folder, loop, workers, trouble, meeting, results, choices)
    children = [context.Process(target=_worker, args=(rank, *arguments), daemon=True) for rank in range(workers)]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE_S)
        assert child.exitcode is not None, "a worker hangs"
    found = {}
    while not results.empty():
        rank, result = results.get()
        found[rank] = result
    return found


def _worker(
    rank: int,
    phase: str,
    folder: Path,
    loop: LoopConfig,
    count: int,
    trouble: Trouble,
    meeting: Path,
    results: Any,
    choices: dict[str, Any],
) -> None:
    torch.set_num_threads(1)
    group.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    if trouble.spoiled:
        _spoil(trouble.spoiled)
    step = -1

    def left() -> float:
        """Asked before each step."""
        nonlocal step
        step += 1
        if trouble.killed == (rank, step):
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.0 if trouble.out_of_time == (rank, step) else float("inf")

    out = folder if rank == 0 else folder / NOTHING
    try:
        result = runs.train(phase, out, loop, workers=Workers.joined(), left=left, **choices)
        results.put((rank, result.losses))
    except Exception as error:
        results.put((rank, f"{type(error).__name__}: {error}"))
    finally:
        group.destroy_process_group()


def _spoil(clip: str) -> None:
    data = toy.data

    def spoiled() -> Any:
        given, started = data(), False
        latents = given.latents

        def read(ids: Sequence[str]) -> np.ndarray:
            nonlocal started
            values = latents(ids)
            if started:
                values[[number for number, one in enumerate(ids) if one == clip]] = np.nan
            started = started or len(ids) != 1  # the first look at one clip is for its shape, the next is the start's
            return values

        object.__setattr__(given, "latents", read)
        return given

    toy.data = spoiled
