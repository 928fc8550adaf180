"""A sensor under which nothing stays an orphan: no run without its process, no job without hours, no hours without
either (ADR 18).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.orphans import KILLED, orphans
from orchestration.resources import Foresight

if TYPE_CHECKING:
    from orchestration.budget.ledger import Ledger
    from orchestration.dispatch.cluster import Cluster
    from orchestration.dispatch.orphans import Action


@dg.sensor(
    name="reconcile_orphans",
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=60,
    description="Runs whose process is gone are failed, jobs nobody pays for are ended, their hours are booked.",
)
def reconcile_orphans(context: dg.SensorEvaluationContext, foresight: Foresight) -> dg.SkipReason:
    from orchestration.dispatch.cluster import Cluster
    from orchestration.record.opened import ledger

    cluster = Cluster.of_environment() if foresight.profile.dispatch.backend == "ray" else None
    done = act(context.instance, orphans(context.instance, foresight.home.lock), cluster, ledger(foresight.home))
    return dg.SkipReason("; ".join(map(str, done)) or "everything has what belongs to it")


def act(
    instance: dg.DagsterInstance, dead: Sequence[dg.DagsterRun], cluster: "Cluster | None", ledger: "Ledger"
) -> "list[Action]":
    """Hold runs, jobs and reservations against each other, and do what follows; what was done."""
    from orchestration.dispatch.orphans import FailRun, Run, Settle, StopJob, reconcile

    ledger.expire()
    runs = {run.run_id: run for run in dead}
    jobs = cluster.jobs() if cluster else []
    actions = reconcile([Run(run_id, alive=False) for run_id in runs], jobs, ledger.reservations())
    for action in actions:
        match action:
            case FailRun(run):
                instance.report_run_failed(runs[run], KILLED)
            case StopJob(job) if cluster:
                cluster.stop(job)
            case Settle(key, seconds, ended):
                ledger.settle(key, seconds / 3600, ended)
    return actions
