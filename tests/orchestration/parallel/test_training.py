"""What a worker hands back and what its sender makes of it; Ray itself is in tests/faults."""

import queue
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch.distributed as group
from ray.util.queue import Empty

from models.training import checkpoint
from models.training.loop import TrainResult
from orchestration.budget.allowance import StoppedAtReservation
from orchestration.jobs import Job
from orchestration.parallel import training
from orchestration.profile import load
from tests.models.training import runs, toy


@dataclass
class Told:
    """A queue as Ray's, in this process."""

    items: "queue.SimpleQueue[Any]" = field(default_factory=queue.SimpleQueue)

    def put(self, item: Any) -> None:
        self.items.put(item)

    def get(self, timeout: float) -> Any:
        try:
            return self.items.get(timeout=timeout)
        except queue.Empty as error:
            raise Empty from error


def learn(job: Job, arm: str, out: Path, progress: Any, left: Any, *, kept: Any, workers: Any) -> TrainResult:
    loop = toy.loop(checkpoint_every=2)
    return runs.train("phase1", out, loop, progress, left=left, kept=kept, workers=workers)


@pytest.fixture
def job(tmp_path) -> Job:
    places = {"home": tmp_path, "workspace": tmp_path / "data", "out": tmp_path / "out"}
    said = {"data_versions": {}, "weights": {}, "code_commit": "0" * 40}
    return Job(stage="phase1", phase=1, dataset="toy", profile=load("laptop"), **places, **said)


@pytest.fixture
def order(job) -> Any:
    return partial(
        training._Order, job, "dino_only", Path("arm"), settle=training.same_disk, learn=learn, checkpoints=None
    )


@pytest.fixture(autouse=True)
def _joined(tmp_path):
    group.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    group.destroy_process_group()


def test_what_a_worker_gives_becomes_the_result(job, order):
    told = Told()
    found = training._work({"order": order(until=time.time() + 60, told=told)})
    result = training._ended(_over(found))
    made = training._result(result, job.out / "arm")
    assert checkpoint.read(made.checkpoint).step == made.steps == len(made.losses) == 6
    heard = []
    training._listen(told, _over(found), lambda *said: heard.append(said[1]), time.time() + 60)
    assert heard == [1, 2, 3, 4, 5, 6]


def test_a_worker_whose_time_is_up_ends_with_a_checkpoint_and_is_not_started_again(order):
    found = training._work({"order": order(until=time.time() - 1, told=Told())})
    with pytest.raises(StoppedAtReservation, match="its time was up after step 0 of 6"):
        training._ended(_over(found))


def test_what_would_fail_again_is_not_tried_again(job, order):
    runs.train("phase1", job.out / "arm", toy.loop(checkpoint_every=2, seed=1))
    found = training._work({"order": order(until=time.time() + 60, told=Told())})
    with pytest.raises(training.TrainingFailed, match=r"is of another run .*seed: 1 then, 0 now"):
        training._ended(_over(found))


def test_the_reason_is_of_the_worker_that_failed_and_not_of_those_that_lost_it():
    lost = RuntimeError("Traceback\n ..\nmodels.training.parallel.WorkerLost: worker 0 of 2 lost another")
    own = RuntimeError("Traceback\n ..\nmodels.training.data.DataError: no clip 7; extract again\n")
    reason = training._reason(SimpleNamespace(worker_failures={0: lost, 1: own}))
    assert reason == "models.training.data.DataError: no clip 7; extract again"
    assert training._reason(SimpleNamespace(worker_failures={0: lost})).endswith("lost another")


def test_a_training_for_which_no_worker_is_to_be_had_ends_with_its_time():
    with pytest.raises(StoppedAtReservation, match="no workers were to be had"):
        training._listen(Told(), Future(), lambda *_: None, time.time() + 0.2)


def _over(found: dict[str, Any]) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(SimpleNamespace(return_value=found))
    return future
