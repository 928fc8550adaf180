"""What Dagster costs: the time of a run over the time that its workers took for the same stages."""

from dataclasses import dataclass

from orchestration.home import Home
from orchestration.instance import instance


class OverheadError(RuntimeError):
    """There is no run to compare."""


@dataclass(frozen=True)
class Overhead:
    """One run, in seconds."""

    run_id: str
    run_seconds: float
    """Of the whole run: Dagster, DVC's commits and pushes, checks, gates and report included."""
    worker_seconds: float
    """Of the worker processes alone: the commands that a person would type to make the same stages without Dagster."""
    stages: int

    @property
    def ratio(self) -> float:
        """Run over workers; 1 would be free."""
        return self.run_seconds / self.worker_seconds


def of_last_full_run(home: Home) -> Overhead:
    """The newest successful run that made at least one phase.

    Raises:
        OverheadError: no such run is recorded in this home.
    """
    import dagster as dg

    with instance(home) as stored:
        done = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])
        for record in stored.get_run_records(done, limit=20):
            if record.start_time is None or record.end_time is None:
                continue
            made = _worker_seconds(stored, record.dagster_run.run_id)
            if any("phase" in stage for stage in made):
                seconds = record.end_time - record.start_time
                return Overhead(record.dagster_run.run_id, seconds, sum(made.values()), len(made))
    raise OverheadError(f"{home.root}: no finished run made a phase here; run `make demo` first")


def _worker_seconds(stored, run_id: str) -> dict[str, float]:
    """Seconds of the worker by stage, of the stages that this run made itself."""
    import dagster as dg

    found = {}
    for entry in stored.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        materialization = entry.dagster_event.step_materialization_data.materialization
        metadata = materialization.metadata
        if "worker_seconds" in metadata and metadata["made_now"].value:
            found[materialization.asset_key.to_user_string()] = float(metadata["worker_seconds"].value)
    return found
