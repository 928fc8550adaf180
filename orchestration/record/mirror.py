"""Decisions and overrides where people look for them: a run each in MLflow, a materialization each in Dagster.

SQL is the truth and these are copies. What is still to be copied is what SQL has and the other has not, found anew each
time: so a copy that could not be made when a gate was decided, because MLflow was away or the process died, is made by
the next call, from wherever it comes. One call at a time; a copy that was begun is finished, and none is made twice.
"""

from __future__ import annotations

import datetime as dt
import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from orchestration.data.datasets import GENERATED
from orchestration.home import Home
from orchestration.lock import look

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.record.decisions import DecisionLog

GATES = "gates"
DONE = "FINISHED"
LATER = "its copy is made later"


class MirrorError(RuntimeError):
    """A copy that cannot be made now; what it copies stands in the record."""


@dataclass(frozen=True)
class Entry:
    """One row of the record that is copied."""

    kind: Literal["decision", "override"]
    sha256: str
    at: dt.datetime
    phase: int
    dataset: str
    document: Mapping[str, Any]

    @property
    def title(self) -> str:
        said = self.document["verdict"] if self.kind == "decision" else f"overridden by {self.document['by']}"
        return f"phase {self.phase} {said}"

    @property
    def tag(self) -> str:
        """The tag that names the row on its copy."""
        return f"{self.kind}_sha256"


def entries(log: DecisionLog) -> list[Entry]:
    """All decisions and overrides, in the order in which they were recorded."""
    decided = [
        Entry("decision", one.sha256, at, one.phase, str(one.pins.get("dataset") or GENERATED), one.document())
        for at, one in log.decisions()
    ]
    signed = [
        Entry("override", one.sha256, one.at, one.phase, one.dataset or GENERATED, one.document())
        for one in log.overrides()
    ]
    return sorted([*decided, *signed], key=lambda entry: entry.at)


def catch_up(home: Home, log: DecisionLog) -> list[str]:
    """Copy to whatever this home has; one line for each place that is away. What is away is caught up later."""
    away = []
    if home.has_mlflow:
        away += _tried(lambda: to_mlflow(home, log))
    if (home.dagster / "dagster.yaml").is_file():
        away += _tried(lambda: _to_own_dagster(home, log))
    return away


def to_mlflow(home: Home, log: DecisionLog) -> list[Entry]:
    """Copy to MLflow what it has not; gives what was copied now.

    Raises:
        MirrorError: MLflow is away.
    """
    import mlflow

    with _alone(home), _reaching("MLflow", LATER, mlflow.MlflowException):
        known = _runs(home)
        waiting = [one for one in entries(log) if known.get(one.sha256, ("", ""))[1] != DONE]
        for entry in waiting:
            _record(entry, known.get(entry.sha256, (None, ""))[0])
    return waiting


def strangers(home: Home, log: DecisionLog) -> list[str]:
    """Copies in MLflow of rows that the record has not: its end was cut off, or all of it was written anew.

    Raises:
        MirrorError: MLflow is away.
    """
    if not home.has_mlflow:
        return []
    import mlflow

    with _alone(home), _reaching("MLflow", "it was checked without its copies", mlflow.MlflowException):
        copied = _runs(home)
    recorded = {entry.sha256 for entry in entries(log)}
    return [f"row {sha[:12]} (run {run[:12]})" for sha, (run, _) in copied.items() if sha not in recorded]


def to_dagster(home: Home, log: DecisionLog, instance: dg.DagsterInstance) -> list[Entry]:
    """Materialize in Dagster what it has not; gives what was materialized now.

    A gate asset materializes its own decision when its step ends. While a run goes on here a decision is therefore left
    to it; the order below makes sure of that: rows first, then whether a run goes on, then what Dagster has.

    Raises:
        MirrorError: Dagster's storage is away.
    """
    from dagster import DagsterError

    with _alone(home), _reaching("Dagster", LATER, DagsterError):
        rows = entries(log)
        busy = look(home.lock).holder is not None
        waiting = [one for one in rows if not (busy and one.kind == "decision")]
        known = {sha for key in {_key(one) for one in waiting} for sha in _materialized(instance, key)}
        waiting = [one for one in waiting if one.sha256 not in known]
        for entry in waiting:
            instance.report_runless_asset_event(_materialization(entry))
    return waiting


def _to_own_dagster(home: Home, log: DecisionLog) -> None:
    from orchestration.instance import instance

    with instance(home) as own:
        to_dagster(home, log, own)


def _tried(copy: Callable[[], object]) -> list[str]:
    try:
        copy()
    except MirrorError as error:
        return [str(error)]
    return []


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One copier at a time; the kernel lets go when it dies."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "mirror.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _reaching(what: str, so: str, own: type[Exception]) -> Iterator[None]:
    """Whatever a place says when it is away, in one line that says what becomes of the record."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (own, SQLAlchemyError, OSError) as error:
        raise MirrorError(f"{what} is away ({_first_line(error)}); the record stands, {so}") from error


def _runs(home: Home) -> dict[str, tuple[str, str]]:
    """Row's hash -> (run id, status) of its copy; where there are two, one that is done."""
    import mlflow

    from orchestration.tracking import connect, experiment

    connect(home)
    made: list[Any] = mlflow.search_runs([experiment(home, GATES)], output_format="list")
    copies = [
        (sha, (run.info.run_id, run.info.status))
        for run in made
        for kind in ("decision", "override")
        if (sha := run.data.tags.get(f"{kind}_sha256"))
    ]
    return dict(sorted(copies, key=lambda copy: copy[1][1] == DONE))


def _record(entry: Entry, begun: str | None) -> None:
    """One run, tagged with the row's hash from its first moment on, and finished once it holds everything."""
    import mlflow

    from orchestration.tracking import Run

    said = entry.document
    with mlflow.start_run(run_id=begun) if begun else mlflow.start_run(run_name=entry.title, tags=_tags(entry)) as run:
        made = Run(run.info.run_id)
        made.params({"phase": entry.phase})
        if entry.kind == "decision":
            rows = said["criteria"]
            made.numbers({row["metric"].replace("@", "/"): row["value"] for row in rows if row["value"] is not None})
        made.document(f"{entry.kind}.json", said)


def _tags(entry: Entry) -> dict[str, str]:
    said = entry.document
    tags = {entry.tag: entry.sha256, "kind": entry.kind, "dataset": entry.dataset, "recorded_at": entry.at.isoformat()}
    if entry.kind == "override":
        wanted = {
            "by": said["by"],
            "until": said["until"],
            "profile": said["profile"],
            "answers": said["decision_sha256"],
        }
    else:
        pins = said["pins"]
        wanted = {"verdict": said["verdict"], "action": said["action"]}
        wanted |= {name: pins.get(name) for name in ("data_version", "code_commit", "profile", "standins")}
    return tags | {name: str(value) for name, value in wanted.items() if value is not None}


def _key(entry: Entry) -> dg.AssetKey:
    from orchestration import groups

    return groups.key(entry.dataset, f"phase{entry.phase}_{'gate' if entry.kind == 'decision' else 'override'}")


def _materialization(entry: Entry) -> dg.AssetMaterialization:
    import dagster as dg

    from orchestration.gates.gate_stage import decision_metadata, override_metadata

    metadata = (decision_metadata if entry.kind == "decision" else override_metadata)(entry.document)
    tags = {"dagster/data_version": entry.sha256[:32]}  # as a gate asset says it of its decision
    return dg.AssetMaterialization(_key(entry), description=entry.title, metadata=metadata, tags=tags)


def _materialized(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[str]:
    """The hashes of the rows that an asset's materializations show."""
    cursor = None
    while True:
        page = instance.fetch_materializations(key, limit=500, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            for kind in ("decision", "override"):
                shown: Any = event.metadata.get(kind) if event else None
                if shown is not None:
                    yield shown.value["sha256"]
        if not page.has_more:
            return
        cursor = page.cursor


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
