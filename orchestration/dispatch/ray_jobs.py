"""Workers of a Ray cluster: a job for each attempt, found again by its id (ADR 18, §3.1).

Whoever asks for the same work meets the job that does it already: a retry, a re-execution, a second orchestration, or
one whose predecessor was killed before it had heard the id. Not the job's exit status but the final message in S3 says
that work is done.
"""

import math
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from orchestration.budget.allowance import StoppedAtReservation, to_end
from orchestration.dispatch.attempts import Job, choose, name, number
from orchestration.dispatch.cluster import Cluster, Unreachable
from orchestration.dispatch.needs import Gpus
from orchestration.dispatch.task import Detached, DispatchError, Hours, Task, WorkerLost, WorkerRefused
from orchestration.messages import Heard

if TYPE_CHECKING:
    from orchestration.dispatch.bundle import Done

LOOK_S = 1.0
PATIENCE_S = 300.0
"""For a cluster that does not answer: its head may be starting again."""
STOPPING_S = 60.0
TELL_EVERY_S = 60.0
ENDED_BY_KERNEL = (-14, 142)
"""How a worker exits whose longest runtime was up (SIGALRM), as its parent and as a shell says it."""
PASSING = ("StoreAway",)
"""What a worker may fail of that another, later, need not fail of."""


def run(context: dg.AssetExecutionContext, task: Task, cluster: Cluster) -> dict[str, Any]:
    """Meet the job that does the task, or submit one; its result. `orchestration.dispatch.send` says what it raises."""
    for tries_left in range(task.needs.retries, -1, -1):
        paid, met = task.purse.last(), cluster.last(task.work)
        attempt = choose(paid, met, in_budget=task.purse.booked)
        if attempt not in (number(paid.key) if paid else 0, met.attempt if met and not paid else 0):
            done = task.parcel.result()
            if done is not None:
                context.log.info(f"{task.work}: done before; its result is taken from S3")
                return _said(done)
            if met is not None and met.alive:
                _stop(cluster, met.id)  # its attempt is settled: nobody pays for what it still does
        gpus = cluster.choose(task.needs.gpus)
        try:
            count = (gpus.count if gpus else 0) + task.gpus_of_workers
            with task.purse.hold(name(attempt), gpus=count, waits=True) as held:
                return _attend(context, task, held, cluster, attempt, gpus)
        except WorkerLost as error:
            if not tries_left:
                raise
            context.log.warning(f"{error}; {tries_left} more to try")
    raise AssertionError("the last try returns or raises")


def _attend(
    context: dg.AssetExecutionContext, task: Task, held: Hours, cluster: Cluster, attempt: int, gpus: Gpus | None
) -> dict[str, Any]:
    """Submit the job of an attempt or meet it, listen to it until it has ended, and take its result."""
    heard, job_id = Heard(context.log, held.progress), cluster.id_of(task.work, attempt)
    log = cluster.listener(heard)
    with dg.open_pipes_session(context, dg.PipesEnvContextInjector(), log) as session:
        met = cluster.find(job_id)
        try:
            if met is None:
                left = held.left()
                bundle = task.parcel.send(name(attempt), None if math.isinf(left) else left)
                said = {"foresight.work": task.work, "foresight.attempt": str(attempt), "foresight.key": held.key}
                cluster.submit(
                    job_id,
                    f"python -m orchestration.worker {task.stage} --bundle {bundle}",
                    env=session.get_bootstrap_env_vars(),
                    metadata=said | {"dagster.run": context.run_id},
                    needs=task.needs.resources(gpus),
                )
            context.log.info(f"Ray job {job_id}: {'met, and listened to from its start' if met else 'submitted'}")
            session.report_launched({"extras": {"ray_job_id": job_id}})
            job = _watch(context, held, cluster, job_id)
        except (DagsterExecutionInterruptedError, KeyboardInterrupt, StoppedAtReservation):
            _stop(cluster, job_id)
            raise
        if job is not None:
            log.finish(_log(context, cluster, job_id))
    done = task.parcel.result()
    if job is not None and (met is not None or (held.began_at is None and job.exit_code is not None)):
        _account(held, job, done)
    if done is not None:
        return _said(done)
    raise _failure(job_id, job, heard.last.get("failed", {}))


def _log(context: dg.AssetExecutionContext, cluster: Cluster, job_id: str) -> str:
    """All that a job has printed; nothing where its node took it along: what counts is in S3."""
    try:
        return cluster.log(job_id)
    except Unreachable as error:
        context.log.warning(f"{job_id}: the end of its log is lost ({error})")
        return ""


def _watch(context: dg.AssetExecutionContext, held: Hours, cluster: Cluster, job_id: str) -> Job | None:
    """Wait for a job to end; None when the cluster has forgotten it.

    Raises:
        StoppedAtReservation: its time is up.
        Detached: the cluster does not answer any more.
    """
    early, heard_at, told_at = to_end(held.left()), time.monotonic(), -math.inf
    while True:
        now = time.monotonic()
        try:
            job = cluster.find(job_id)
            heard_at = now
        except Unreachable as error:
            if now - heard_at > PATIENCE_S:
                raise Detached(f"{job_id}: {error}; it may still work: run again to meet it") from error
        else:
            if job is None or not job.alive:
                return job
            if job.state == "running":
                held.began()
            elif now - told_at > TELL_EVERY_S:
                told_at = now
                context.log.info(f"{job_id} waits for a machine that has what it needs")
        if held.left() <= early:
            raise StoppedAtReservation(f"{job_id} was ended: its time is used up; what it had saved stays")
        time.sleep(LOOK_S)


def _stop(cluster: Cluster, job_id: str) -> None:
    """End a job and see that it has.

    Raises:
        Detached: it cannot be seen to have ended; nobody may count its hours as over.
    """
    deadline = time.monotonic() + STOPPING_S
    try:
        if cluster.find(job_id) is None:
            return
        cluster.stop(job_id)
        while (job := cluster.find(job_id)) is not None and job.alive:
            if time.monotonic() > deadline:
                raise Detached(
                    f"{job_id} was told to stop {STOPPING_S:.0f} s ago and has not ended; look at the cluster"
                )
            time.sleep(LOOK_S)
    except Unreachable as error:
        raise Detached(f"{job_id} could not be stopped: {error}; it may still work") from error


def _account(held: Hours, job: Job, done: "Done | None") -> None:
    """What a job took that nobody watched from its start to its end, or that was over before anybody looked."""
    if not job.ran and done is None:
        held.used(0.0)
        return
    ended_at = job.ended_at or time.time()
    watched = ended_at - (held.began_at.timestamp() if held.began_at else job.submitted_at)
    # Who met a running job saw less than the worker itself did.
    held.used(max(0.0, done.seconds if done and not held.began_at else watched, done.seconds if done else 0.0))


def _said(done: "Done") -> dict[str, Any]:
    return {**done.result, "worker_seconds": round(done.seconds, 3)}


def _failure(job_id: str, job: Job | None, failed: dict[str, Any]) -> Exception:
    """Why there is no result, as the exception that says what to do about it."""
    if job is None:
        return WorkerLost(f"{job_id}: the cluster has forgotten it; its head was started anew")
    why, kind = failed.get("error", ""), failed.get("kind", "")
    if job.state == "succeeded":
        return DispatchError(f"{job_id} exited 0 without its final message; its work is not trusted: run it again")
    if job.state == "stopped":
        return DispatchError(f"{job_id} was stopped by somebody else; run again when it may go on")
    if job.exit_code in ENDED_BY_KERNEL:
        return StoppedAtReservation(f"{job_id} was ended: its time is used up; what it had saved stays")
    if job.exit_code == StoppedAtReservation.exit_code:
        return StoppedAtReservation(why) if kind == StoppedAtReservation.__name__ else WorkerRefused(why or job.message)
    if why and kind not in PASSING:
        return DispatchError(f"{job_id} ended with exit status {job.exit_code}: {why}")
    return WorkerLost(f"{job_id} was lost: {why or job.message or 'it said nothing'}")
