"""A training over two nodes that share no disk: workers and a whole node are killed for real, a disk is full."""

import json
import os
from functools import partial

import pytest

from models.training import checkpoint
from orchestration.jobs import Job
from orchestration.parallel.checkpoints import Checkpoints
from orchestration.parallel.training import TrainingFailed, _prefix, train
from orchestration.profile import load
from tests.faults.learners import CHOICES, LOOP, Trouble, learn, on_own_disk
from tests.faults.rows import FaultRow
from tests.models.training import runs

pytestmark = pytest.mark.stack
TOLERANCE = 2e-5
"""See ADR 20."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> list[float]:
    """The losses of one worker that nothing befell."""
    return runs.train("phase1", tmp_path_factory.mktemp("unbroken"), LOOP, **CHOICES).losses


@pytest.fixture
def job(nodes, objects, tmp_path, monkeypatch) -> Job:
    """Trained by two workers, or by one where there is room for no more."""
    nodes.fill()
    monkeypatch.setenv("FORESIGHT_OBJECTS", objects)
    profile = load("laptop")
    workers = profile.workers.model_copy(update={"least": 1, "most": 2, "restarts": 1})
    home = tmp_path / "home"
    return Job(
        stage="phase1",
        phase=1,
        dataset=f"toy_{tmp_path.name}",
        home=home,
        workspace=home / "data",
        out=home / "runs" / "phase1",
        profile=profile.model_copy(update={"workers": workers}),
        data_versions={},
        weights={},
        code_commit="0" * 40,
    )


def trained(job: Job, trouble: Trouble | None, progress=lambda *_: None, pace_s: float = 0.0) -> list[float]:
    """The losses of a training on which trouble comes."""
    learned = partial(learn, trouble=trouble, pace_s=pace_s)
    result = train(job, "dino_only", job.out, progress, lambda: 300.0, settle=on_own_disk, learn=learned)
    assert checkpoint.read(result.checkpoint).step == LOOP.steps, "the last checkpoint came home"
    told = [json.loads(line)["loss"] for line in (job.out / "history.jsonl").read_text().splitlines()]
    assert told == result.losses
    return result.losses


def fill(row: FaultRow, told: list[int], losses: list[float], saved: int) -> None:
    """Counted are steps: done again though a checkpoint held them, and missing at the end."""
    row.twice = sum(told.count(step) - 1 for step in range(1, saved + 1))
    row.lost, row.ended = LOOP.steps - len(losses), "right result"


@pytest.mark.parametrize(
    ("kind", "rank"),
    [
        pytest.param("killed", 1, marks=pytest.mark.fault("a training worker killed in a step")),
        pytest.param("killed in a checkpoint", 0, marks=pytest.mark.fault("a training worker killed in a checkpoint")),
    ],
)
def test_a_worker_is_killed(job, unbroken, tmp_path, fault_row, kind, rank):
    trouble, told = Trouble(kind, rank, 5, tmp_path / "came"), []
    losses = trained(job, trouble, lambda what, done, total, numbers: told.append(done))
    fill(fault_row, told, losses, saved=3)
    assert trouble.mark.exists()
    assert losses == pytest.approx(unbroken, rel=TOLERANCE)
    assert told[:5] == [1, 2, 3, 4, 5]
    assert told[-9:] == list(range(4, 13)), "it went on at the last checkpoint, not at the start"


@pytest.mark.fault("a node of a training killed")
def test_a_node_is_killed(nodes, job, unbroken, fault_row):
    """That of the first worker, with its disk: the other goes on alone, from S3."""
    told = []

    def progress(what, done, total, numbers):
        told.append(done)
        if told.count(5) == 1 and done == 5:
            nodes.kill(next(disk for disk in nodes.workers if (disk / job.dataset / "checkpoints").is_dir()))

    losses = trained(job, None, progress, pace_s=0.5)
    fill(fault_row, told, losses, saved=3)
    assert losses == pytest.approx(unbroken, rel=TOLERANCE)
    again = told[told.index(5) + 1 :]
    assert 4 in again
    assert 1 not in again


@pytest.mark.fault("the disk of a training worker full")
def test_a_disk_is_full(job, unbroken, tmp_path, fault_row):
    trouble = Trouble("disk full", 0, 4, tmp_path / "came")
    with pytest.raises(TrainingFailed, match=r"no checkpoint of step 6 .*make room and run again"):
        trained(job, trouble)
    Checkpoints(os.environ["FORESIGHT_OBJECTS"], _prefix(job, job.out)).fetch(job.out)
    assert checkpoint.latest(job.out / "checkpoints").step == 3
    fault_row.ended, told = "clear failure", []
    losses = trained(job, trouble, lambda what, done, total, numbers: told.append(done))
    fault_row.twice, fault_row.lost = sum(step <= 3 for step in told), LOOP.steps - len(losses)
    assert losses == pytest.approx(unbroken, rel=TOLERANCE), "there is room, and it goes on"
