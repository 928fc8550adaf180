"""One training over several workers of a Ray cluster, by Ray Train (ADR 20).

Each worker calls the same recipe with its rank; the loop in `models/training` does the rest. Where workers die, Ray
Train starts them anew, as many as there is room for, and the run goes on at its last checkpoint. Ray's own checkpoints
are not used: those of the loop are whole or not at all, and go through S3 where machines share no disk.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.budget.allowance import StoppedAtReservation
from orchestration.home import Home
from orchestration.jobs import Job
from orchestration.objects.store import ObjectError
from orchestration.parallel.checkpoints import Checkpoints
from orchestration.parallel.cluster import beside_me, connected

LOOK_S = 1.0
WAITS = 10
"""Times that workers are waited for, a minute each, where the cluster has no room for the least of them."""
GRACE_S = 30.0
"""After the time is up: workers that are there save, and end by themselves."""
PEER_S = 600
"""How long a worker waits for another in a step; one that is gone is known at once, one that hangs only so."""

Settle = Callable[[Job], AbstractContextManager[Job]]
"""On a worker's machine: the job with all that it needs, for the length of a `with`."""
Learn = Callable[..., Any]
"""What each worker calls: (job, arm, out, progress, left, kept=, workers=) to its `TrainResult`."""


def by_recipe(job: Job, *given: Any, **more: Any) -> Any:
    """The recipe of the job's phase."""
    from orchestration.stages.recipes import Recipe

    return Recipe(job).train(*given, **more)


class TrainingFailed(RuntimeError):
    """A training that ended without a result, with the reason that its workers gave."""


@contextmanager
def same_disk(job: Job) -> Iterator[Job]:
    """Workers that see the disk of whoever sent them find everything where the job says."""
    yield job


@dataclass(frozen=True)
class _Order:
    """What a worker is told."""

    job: Job
    arm: str
    place: Path
    """The folder of the run, from that of the job."""
    until: float
    """Seconds since the epoch; machines whose clocks differ stop by that of the earliest."""
    checkpoints: Checkpoints | None
    settle: Settle
    learn: Learn
    told: Any
    """Where the first worker says how far it has come."""


def train(
    job: Job,
    arm: str,
    out: Path,
    progress: Callable[[str, int, int, dict[str, float]], None],
    left: Callable[[], float],
    *,
    settle: Settle = same_disk,
    learn: Learn = by_recipe,
) -> Any:
    """Train an arm in `out`, or go on there, with the workers that the job's profile asks for; its `TrainResult`.

    Args:
        settle: what gives a worker on another machine its data, its weights and a folder.

    Raises:
        StoppedAtReservation: the time was up; what was done is in a checkpoint.
        TrainingFailed: workers failed for a reason of their own, or were lost once more than may be.
    """
    objects = Home(job.home).objects
    checkpoints = None if objects is None else Checkpoints(objects, _prefix(job, out))
    with connected() as ray, tempfile.TemporaryDirectory(prefix="foresight-train-") as notes:
        from ray.util.queue import Queue

        told = Queue(actor_options=beside_me(ray))
        order = _Order(job, arm, out.relative_to(job.out), time.time() + left(), checkpoints, settle, learn, told)
        trainer = _trainer(order, Path(notes))
        with ThreadPoolExecutor(1) as beside:
            fitting = beside.submit(trainer.fit)
            try:
                _listen(told, fitting, progress, order.until + GRACE_S)
            except BaseException:
                ray.shutdown()  # ends the workers, or the thread would wait for them
                raise
        result = _ended(fitting)
    if checkpoints is not None:
        checkpoints.fetch(out)
    return _result(result, out)


def _prefix(job: Job, out: Path) -> str:
    """Of the same work, whichever attempt does it."""
    arm = "/".join(out.relative_to(job.out).parts)
    return f"training/{job.dataset}/{job.stage}/{job.fingerprint[:12]}/{arm}".rstrip("/")


def _trainer(order: _Order, notes: Path) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    asked = order.job.profile.workers
    on_gpu = order.job.profile.device == "cuda"
    return TorchTrainer(
        _work,
        train_loop_config={"order": order},
        torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo", timeout_s=PEER_S),
        scaling_config=ScalingConfig(
            num_workers=asked.most if asked.least == asked.most else (asked.least, asked.most),
            use_gpu=on_gpu,
            resources_per_worker={"CPU": asked.cpus} | ({"GPU": 1} if on_gpu else {}),
            accelerator_type=asked.accelerator,
        ),
        run_config=RunConfig(
            name=f"{order.job.stage}-{order.arm}",
            storage_path=str(notes),
            failure_config=FailureConfig(max_failures=asked.restarts, controller_failure_limit=WAITS),
        ),
    )


def _work(config: dict[str, Any]) -> dict[str, Any]:
    """On each worker. What all of them end with is told and not raised: starting them anew would change nothing."""
    from models.data import WriteError
    from models.training.checkpoint import CheckpointError
    from models.training.loop import OutOfTime, silent
    from models.training.non_finite import NonFiniteError
    from models.training.parallel import FirstWorkerError, Workers

    order: _Order = config["order"]
    workers = Workers.joined()

    def progress(*told: Any) -> None:
        order.told.put(told)

    try:
        with order.settle(order.job) as job:
            return _train(order, job, workers, progress if workers.first else silent)
    except OutOfTime as error:
        return {"stopped": str(error)}
    except (FirstWorkerError, NonFiniteError) as error:
        return {"failed": str(error)}
    except (CheckpointError, WriteError, ObjectError) as error:
        if workers.count > 1:
            raise
        return {"failed": str(error)}


def _train(order: _Order, job: Job, workers: Any, progress: Any) -> dict[str, Any]:
    from models.training.loop import unkept

    out, checkpoints, kept = job.out / order.place, order.checkpoints, unkept
    if checkpoints is not None:
        workers.first_alone(lambda: checkpoints.fetch(out))
        kept = checkpoints.try_to_send
    told = (job, order.arm, out, progress, lambda: order.until - time.time())
    result = order.learn(*told, kept=kept, workers=workers)
    if checkpoints is not None:
        workers.first_alone(lambda: checkpoints.finish(result.checkpoint))
    # Ray hands on what the first gives; to the others its checkpoint lies on a disk that is not theirs.
    return {**vars(result), "checkpoint": str(result.checkpoint.relative_to(out))} if workers.first else {}


def _listen(told: Any, fitting: "Future[Any]", progress: Callable[..., None], end: float) -> None:
    """Pass on what the first worker says until the training is over and all is said.

    Raises:
        StoppedAtReservation: it is not over at its end; Ray waits without one for workers to be had.
    """
    from ray.util.queue import Empty

    while True:
        if time.time() > end:
            raise StoppedAtReservation("no workers were to be had until its time was up; what was saved stays")
        over = fitting.done()
        try:
            progress(*told.get(timeout=0.0 if over else LOOK_S))
        except Empty:
            if over:
                return


def _ended(fitting: "Future[Any]") -> dict[str, Any]:
    from ray.train import TrainingFailedError

    try:
        found = fitting.result().return_value
    except TrainingFailedError as error:
        raise TrainingFailed(_reason(error)) from error
    if "stopped" in found:
        raise StoppedAtReservation(found["stopped"])
    if "failed" in found:
        raise TrainingFailed(found["failed"])
    return found


def _reason(error: Any) -> str:
    """The reason of the worker that failed first, where one gave its own: those that lost it say only that."""
    from models.training.parallel import WorkerLost

    failures = list(getattr(error, "worker_failures", {}).values()) or [error]
    own = [one for one in failures if WorkerLost.__name__ not in str(one)]
    said = (own or failures)[0]
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return lines[-1] if lines else type(said).__name__


def _result(found: dict[str, Any], out: Path) -> Any:
    from models.training.loop import TrainResult

    return TrainResult(**{**found, "checkpoint": out / found["checkpoint"]})
