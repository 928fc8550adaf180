"""Killed at any moment and started again, a run gives what one never stopped gives, bit for bit (CPU, fp32)."""

import itertools
import json
import multiprocessing
import random
import signal
import time
import warnings
from pathlib import Path

import pytest
import torch

from models.training import checkpoint
from tests.models.training import victim

# One server imports the libraries once; every child that it forks is a process of its own.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload([victim.__name__])


def start(target, *arguments):
    child = CHILDREN.Process(target=target, args=arguments, daemon=True)
    child.start()
    return child


def ended(target, *arguments) -> int | None:
    """Exit code of a child that ends by itself."""
    child = start(target, *arguments)
    child.join()
    return child.exitcode


def newest(out: Path) -> checkpoint.Checkpoint | None:
    """The checkpoint to go on from; no kill may leave a damaged one, of which a warning would tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return checkpoint.latest(out / "checkpoints")


def assert_same_run(first: Path, second: Path) -> None:
    ends = [newest(first), newest(second)]
    assert [end.step for end in ends] == [victim.STEPS] * 2
    for name in ("model", "ema", "optimizer", "random"):
        whole, killed = (end.tensors(name) for end in ends)
        assert whole.keys() == killed.keys()
        assert all(torch.equal(whole[key], killed[key]) for key in whole)
    assert losses(first) == losses(second)
    assert len(losses(first)) == victim.STEPS


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "history.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where each phase was trained without a stop."""
    folder = tmp_path_factory.mktemp("runs")
    assert ended(victim.begin, folder) == 0
    for phase in ("phase1", "phase3"):
        assert ended(victim.train, phase, folder / f"{phase} whole") == 0
    return folder


@pytest.mark.parametrize("phase", ["phase1", "phase3"])
def test_killed_at_random_moments(folder, phase):
    chance, out = random.Random(phase), folder / f"{phase} at random"
    for _ in range(12):
        started = CHILDREN.Event()
        child = start(victim.train_until_killed, phase, out, started)
        assert started.wait(60)
        time.sleep(chance.uniform(0, 0.3))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        newest(out)
    assert ended(victim.train, phase, out) == 0
    assert_same_run(folder / f"{phase} whole", out)


def test_killed_before_every_file_operation_of_a_checkpoint(folder):
    out, log, before = folder / "by operation", folder / "operation", set()
    for number in itertools.count():
        code = ended(victim.train_until_operation, "phase1", out, number, log)
        newest(out)
        if code == victim.SAVED:
            break
        assert code == -signal.SIGKILL
        before.add(log.read_text())
    files = {f"open {name}.safetensors" for name in ("model", "ema", "optimizer", "random")} | {"open state.json"}
    assert files <= before
    assert {operation.split()[0] for operation in before} >= {"os.mkdir", "os.rename", "shutil.rmtree", "os.rmdir"}
    assert ended(victim.train, "phase1", out) == 0
    assert_same_run(folder / "phase1 whole", out)


def test_killed_in_the_middle_of_each_file_of_a_checkpoint(folder):
    out = folder / "by file"
    for number in range(8):  # four files: in the first checkpoint, and in the second after one whole one
        assert ended(victim.train_until_half_a_file, "phase1", out, number) == -signal.SIGKILL
        newest(out)
    assert ended(victim.train, "phase1", out) == 0
    assert_same_run(folder / "phase1 whole", out)
