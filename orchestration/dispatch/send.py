"""From a stage of work to its result, whichever machine does it: the one way that assets take (ADR 18)."""

from typing import Any

import dagster as dg

from orchestration.dispatch import local
from orchestration.dispatch.needs import Dispatch
from orchestration.dispatch.task import Task


def dispatch(context: dg.AssetExecutionContext, task: Task, where: Dispatch) -> dict[str, Any]:
    """Have a task done where the profile says; its result, with `worker_seconds`, its files in this home.

    Raises:
        BudgetRefused: it does not fit the budget; nothing was dispatched.
        DispatchError: it failed, for the reason that is given, or nobody can say how it does.
        WorkerRefused: the worker would not go on.
        StoppedAtReservation: its time was up.
    """
    if where.backend == "ray":
        from orchestration.dispatch.cluster import Cluster
        from orchestration.dispatch.ray_jobs import run

        return run(context, task, Cluster.of_environment())
    with task.purse.hold(context.run_id) as held:
        command, cwd = task.parcel.here(held.left())
        return local.run(context, command, cwd=cwd, each=held.progress, left=held.left)
