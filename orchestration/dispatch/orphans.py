"""What belongs together and does not stand together any more: runs, jobs and reservations, held against each other.

A plain function from what stands to what is to be done; done again, it finds nothing more to do. A reservation speaks
for its run: while somebody listens to a worker it has signs of life, and one without them has expired before this is
asked (design §8). What is in no budget has a longest runtime of its own and is left to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.budget.reservations import OPEN, Ending, Reservation
from orchestration.dispatch.attempts import Job


@dataclass(frozen=True)
class Run:
    """A run that Dagster takes for running."""

    id: str
    alive: bool
    """Whether its process is there."""


@dataclass(frozen=True)
class FailRun:
    """Say that a run has failed, so that what waits behind it goes on."""

    run: str


@dataclass(frozen=True)
class StopJob:
    """End a job for which nobody holds hours."""

    job: str


@dataclass(frozen=True)
class Settle:
    """Book what a job took whose run was not there to see it end, in place of what its last sign of life said."""

    key: str
    seconds: float
    ended: Ending


Action = FailRun | StopJob | Settle


def reconcile(runs: Sequence[Run], jobs: Sequence[Job], reservations: Sequence[Reservation]) -> list[Action]:
    """What is to be done so that every run has its process, every job its hours, and every hour its job.

    A run without its process is reported as failed. A job without open hours is ended. A job that ended while nobody
    listened is booked by its own end. A reservation without a job needs nothing: it has expired, or soon does.
    """
    booked = {one.key: one for one in reservations}
    actions: list[Action] = [FailRun(run.id) for run in runs if not run.alive]
    for job in (job for job in jobs if job.key):
        one = booked.get(job.key)
        if job.alive:
            if one is None or one.state not in OPEN:
                actions.append(StopJob(job.id))
        elif one is not None and one.state == "expired" and job.ended_at is not None:
            began = one.committed_at.timestamp() if one.committed_at else job.submitted_at
            ended: Ending = "done" if job.state == "succeeded" else "failed"
            seconds = max(0.0, job.ended_at - began) if job.ran else 0.0  # to wait for a machine costs nothing
            actions.append(Settle(one.key, seconds, ended))
    return actions
