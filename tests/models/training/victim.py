"""Training runs in a process of their own, to be killed from outside or at a chosen moment of their own."""

import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NoReturn

import torch
from safetensors.torch import save

from models.training import checkpoint
from models.training.loop import Progress, silent
from tests.models.training import runs, toy

STEPS, EACH = 64, 5
"""Of a whole run, and of one attempt: it then waits for its end, so that a run cannot outlive all its kills."""
SAVED = 99
"""Exit code of a process that came out of a checkpoint's writing alive."""
# 10 clips, 8 a step: an epoch ends within nearly every one.
LOOP = toy.loop(steps=STEPS, accumulation=2, readers=2, checkpoint_every=2)


def train(phase: str, out: Path, progress: Progress = silent) -> None:
    """Train Phase 1, or Phase 3 from the checkpoint of `begin`, in `out`; go on where it was killed."""
    torch.set_num_threads(1)
    if phase == "phase1":
        runs.train(phase, out, LOOP, progress, heldout_every=3)
    else:
        start = checkpoint.latest(out.parent / "phase2" / "checkpoints")
        runs.train(phase, out, LOOP, progress, start=start.path, condition_dropout=0.3, heldout_every=7)


def begin(folder: Path) -> None:
    """Phase 2's checkpoint, from which Phase 3 starts."""
    runs.train("phase2", folder / "phase2", toy.loop())


def train_until_killed(phase: str, out: Path, started: Event) -> None:
    """Train a few steps and wait for the end."""
    steps = 0

    def progress(*_) -> None:
        nonlocal steps
        steps += 1
        if steps == EACH:
            time.sleep(60)
            raise AssertionError("nobody killed this process")

    started.set()
    train(phase, out, progress)


def train_until_operation(phase: str, out: Path, number: int, log: Path) -> None:
    """Die right before the given file operation of the next checkpoint's writing, and say in `log` which it was.

    They are counted from the making of its folder on: what is cleared before depends on where the last process died.
    """
    seen = -1

    def operation(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event == "os.mkdir" or (seen >= 0 and (event == "open" or event.startswith(("os.", "shutil.")))):
            seen += 1
            if seen == number:
                log.write_text(f"{event} {Path(str(arguments[0])).name}")
                die()

    _in_save(lambda: sys.addaudithook(operation))
    train(phase, out)


def train_until_half_a_file(phase: str, out: Path, number: int) -> None:
    """Die when half of the given file of the next checkpoint is written."""
    names = iter(range(number))
    whole = checkpoint.save_file

    def save_file(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if next(names, None) is not None:
            return whole(tensors, path)
        content = save(tensors)
        path.write_bytes(content[: len(content) // 2])
        die()

    checkpoint.save_file = save_file
    train(phase, out)


def die() -> NoReturn:
    """SIGKILL, as from outside."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def _in_save(prepare: Callable[[], None]) -> None:
    """Call `prepare` when a checkpoint's writing begins, and end the process when it is over."""
    write = checkpoint.save

    def watched(*arguments, **choices) -> NoReturn:
        prepare()
        write(*arguments, **choices)
        os._exit(SAVED)

    checkpoint.save = watched
