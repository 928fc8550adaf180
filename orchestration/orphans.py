"""Runs that ended without a word: their process was killed, and Dagster still takes them for running.

Dagster's own launcher notices a killed run only while its code server lives. Here the lock of the home tells: every run
holds it from its first step to its last, and the kernel lets go of it when its holder dies. A run that says it is
running while nobody has held the lock for some time is dead, and the runs that wait behind it would wait for ever.
"""

import datetime as dt
from pathlib import Path

import dagster as dg

from orchestration.lock import look

GRACE_S = 120.0
"""A run says it runs a moment before it takes the lock, and a moment after it has let go of it."""
KILLED = "its process is gone and nobody holds the lock of this home: it was killed"
RUNNING = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def orphans(instance: dg.DagsterInstance, lock: Path, *, grace: float = GRACE_S) -> list[dg.DagsterRun]:
    """The runs that are dead though Dagster takes them for running; none while anybody holds the lock."""
    seen, now = look(lock), dt.datetime.now(dt.UTC).timestamp()

    def recent(moment: float) -> bool:
        return 0 <= now - moment < grace  # a moment that lies ahead is of a clock that was set back, not of just now

    if seen.holder is not None or recent(seen.free_since or 0.0):
        return []
    records = instance.get_run_records(dg.RunsFilter(statuses=RUNNING))
    return [one.dagster_run for one in records if not recent(_since(one))]


def fail_orphans(instance: dg.DagsterInstance, lock: Path, *, grace: float = GRACE_S) -> list[str]:
    """Report them as failed, so that what waits behind them goes on; their ids."""
    dead = orphans(instance, lock, grace=grace)
    for run in dead:
        instance.report_run_failed(run, KILLED)
    return [run.run_id for run in dead]


def _since(record: dg.RunRecord) -> float:
    """When it began to run or, where it has not yet, was last heard of: it may have waited in the queue before."""
    heard = record.update_timestamp
    return record.start_time or (heard if heard.tzinfo else heard.replace(tzinfo=dt.UTC)).timestamp()
