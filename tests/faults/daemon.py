"""The sensor daemon's own iteration in a forked process that is killed where Dagster's tests kill theirs.

Dagster marks the places (TICK_CREATED, RUN_CREATED, RUN_LAUNCHED); one more lies in the run that it launches, after
the decision is in the log. Runs are executed in the daemon's process, so that one kill takes both. Each iteration
begins two minutes of Dagster's clock after the one before it, so no sensor waits for its interval.
"""

import datetime as dt
import logging
import os
import signal
import traceback
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration

from tests.faults import location

SETTINGS = """
telemetry: {enabled: false}
run_launcher: {module: dagster._core.launcher.sync_in_memory_run_launcher, class: SyncInMemoryRunLauncher}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
event_log_storage:
  module: dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log
  class: ConsolidatedSqliteEventLogStorage
  config: {base_dir: {env: FAULTS_EVENTS}}
"""  # one file for the events of all runs: a file a run, as by default, takes most of a round's time
POINTS = [
    *((location.DECIDE, point) for point in ("TICK_CREATED", "RUN_CREATED", "RUN_LAUNCHED", location.DECISION_WRITTEN)),
    *((location.LAUNCH, point) for point in ("TICK_CREATED", "RUN_CREATED", "RUN_LAUNCHED")),
]
STEP = dt.timedelta(minutes=2)
PATIENCE = 6
"""Iterations within which a kill must have come, and within which all must be settled after it."""
Daemon = Callable[[dg.DagsterInstance, object], None]


class Machine:
    """One home whose daemon is started and killed; every piece of work is done in a forked process."""

    def __init__(self, root: Path) -> None:
        self.home = location.Home(root)
        self.home.dagster.mkdir(parents=True, exist_ok=True)
        (self.home.dagster / "dagster.yaml").write_text(SETTINGS)
        self.now = dt.datetime.now(dt.UTC)

    def evaluate_and_tick(self, run: str, sensor: str, point: str) -> bool:
        """A new evaluation of phase 1, then iterations until the daemon is killed at `point`; True when it was."""
        made = location.evaluated(self.home, 1, run)
        location.at.update(die=point if point == location.DECISION_WRITTEN else "", away="")

        def evaluate(instance, workspace) -> None:
            instance.report_runless_asset_event(location.materialization(1, made))
            self._iterate(instance, workspace, PATIENCE, {sensor: {point: signal.SIGKILL}})

        return self.work(evaluate, dies=True)

    def evaluate(self, run: str) -> None:
        """A new evaluation of phase 1, or one that was made before."""
        made = location.evaluated(self.home, 1, run)
        self.work(lambda instance, _: instance.report_runless_asset_event(location.materialization(1, made)))

    def tick(self, times: int = 1, *, away: str = "", failing: bool = False) -> None:
        """Iterations of a daemon that nobody kills; `away` goes away when the first gate begins."""
        location.at.update(die="", away=away)
        self.work(lambda instance, workspace: self._iterate(instance, workspace, times, {}, failing=failing))

    def _iterate(
        self, instance, workspace, times: int, flags: Mapping[str, Mapping[str, int]], *, failing: bool = False
    ) -> None:
        for number in range(times):
            with freeze_time(self.now + number * STEP):
                for error in execute_sensor_iteration(workspace, logging.getLogger("daemon"), None, None, None, flags):
                    if error is not None and not failing:
                        raise AssertionError(error.to_string())

    def work(self, do: Daemon, *, dies: bool = False) -> bool:
        """Do something with the instance and the code location in a process of its own; True when it was killed."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                location.install()
                with _opened(self.home, self.now) as (instance, workspace):
                    do(instance, workspace)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        try:
            _, ended = os.waitpid(child, 0)
        except KeyboardInterrupt:  # nothing may go on in the home that is counted
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        self.now += STEP * PATIENCE
        if dies and os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL:
            return True
        if ended != 0:
            raise AssertionError(f"the daemon's process ended with {ended}")
        return False


@contextmanager
def _opened(home: location.Home, now: dt.datetime):
    os.environ |= {"DAGSTER_HOME": str(home.dagster), "FAULTS_EVENTS": str(home.dagster / "events")}
    logging.disable(logging.WARNING)
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name="tests.faults.location", attribute="defs"), location_name="gate_path"
    )
    with (
        freeze_time(now),
        dg.DagsterInstance.get() as instance,
        create_test_daemon_workspace_context(InProcessWorkspaceLoadTarget(origin), instance) as workspace,
    ):
        yield instance, workspace


def document_path(home: location.Home) -> Path:
    """Where the evaluation of phase 1 lies."""
    return home.run(location.DATASET.name, "phase1") / "evaluation.json"
