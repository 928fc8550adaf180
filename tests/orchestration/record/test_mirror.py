"""Copies of the record in MLflow and Dagster: made once, whatever is away or dies meanwhile."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import mlflow
import pytest

from orchestration.home import Home
from orchestration.lock import hold
from orchestration.plan.programme import load
from orchestration.record import mirror
from orchestration.record.decisions import DecisionLog
from orchestration.record.mirror import MirrorError, to_dagster, to_mlflow
from orchestration.record.opened import decisions
from orchestration.tracking import connect, experiment
from tests.orchestration.evaluations import evaluation, metric

GATE, OVERRIDE = dg.AssetKey(["moving_shapes", "phase1_gate"]), dg.AssetKey(["moving_shapes", "phase1_override"])


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """An empty MLflow store; to make one takes seconds, to copy one does not."""
    home = Home(tmp_path_factory.mktemp("mlflow"))
    connect(home)
    mlflow.search_experiments()
    return home.mlflow


@pytest.fixture
def home(tmp_path: Path, fresh: Path) -> Home:
    made = Home(tmp_path / "home")
    shutil.copytree(fresh, made.mlflow)
    return made


@pytest.fixture
def log(home: Home) -> DecisionLog:
    """Two decisions and an override."""
    made = decisions(home)
    for iou in (0.60, 0.80):
        made.decide(load(), evaluation(1, spatial_iou=metric(iou)), pins={"dataset": "moving_shapes"})
    made.approve(1, "Chair", "worth a week", dt.date(2999, 1, 1), dataset="moving_shapes")
    return made


def runs(home: Home) -> list[Any]:
    connect(home)
    return mlflow.search_runs([experiment(home, mirror.GATES)], output_format="list")


def attached(run: Any, name: str) -> Any:
    return json.loads(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{name}"))


def test_every_row_has_a_run_with_its_document(home: Home, log: DecisionLog) -> None:
    assert len(to_mlflow(home, log)) == 3
    made = {run.info.run_name: run for run in runs(home)}
    assert set(made) == {"phase 1 NO_GO", "phase 1 GO", "phase 1 overridden by Chair"}
    last, override = log.latest(1), log.overrides()[0]
    assert last is not None
    assert attached(made["phase 1 GO"], "decision.json") == last.document()
    assert made["phase 1 GO"].data.tags["decision_sha256"] == last.sha256
    assert made["phase 1 GO"].data.metrics["spatial_iou"] == 0.8
    assert attached(made["phase 1 overridden by Chair"], "override.json") == override.document()
    assert made["phase 1 overridden by Chair"].data.tags["answers"] == last.sha256


def test_what_is_copied_is_copied_once(home: Home, log: DecisionLog) -> None:
    assert (len(to_mlflow(home, log)), to_mlflow(home, log)) == (3, [])
    log.decide(load(), evaluation(2), pins={"dataset": "moving_shapes"})
    assert [entry.title for entry in to_mlflow(home, log)] == ["phase 2 GO"]
    assert len(runs(home)) == 4


def test_a_copy_that_was_cut_short_is_finished_and_not_made_again(home: Home, log: DecisionLog) -> None:
    """What a process leaves that was killed after it had begun a run."""
    sha = log.decisions()[0][1].sha256
    connect(home)
    begun = mlflow.MlflowClient().create_run(experiment(home, mirror.GATES), tags={"decision_sha256": sha})
    assert len(to_mlflow(home, log)) == 3
    made = {run.info.run_id: run for run in runs(home)}
    assert (len(made), made[begun.info.run_id].info.status) == (3, "FINISHED")
    assert attached(made[begun.info.run_id], "decision.json")["sha256"] == sha


@pytest.mark.parametrize("step", ["params", "numbers", "document"])
def test_a_copy_that_failed_half_way_is_made_later(
    home: Home, log: DecisionLog, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise mlflow.MlflowException("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(f"orchestration.tracking.Run.{step}", away)
        with pytest.raises(MirrorError, match="the disk is full"):
            to_mlflow(home, log)
    assert len(to_mlflow(home, log)) == 3
    assert [run.info.status for run in runs(home)] == ["FINISHED"] * 3
    assert all(attached(run, f"{run.data.tags['kind']}.json") for run in runs(home))


def test_with_mlflow_away_the_record_stands_and_is_copied_later(home: Home, log: DecisionLog) -> None:
    store = home.mlflow / "mlflow.db"
    kept = store.read_bytes()
    store.write_text("not a database " * 100)
    with pytest.raises(MirrorError, match="its copy is made later"):
        to_mlflow(home, log)
    assert log.verify() is None
    store.write_bytes(kept)
    assert (len(to_mlflow(home, log)), len(runs(home))) == (3, 3)


def shown(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[Any]:
    return [record.asset_materialization for record in instance.fetch_materializations(key, limit=50).records]


def test_dagster_shows_every_row_once(home: Home, log: DecisionLog) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert (len(to_dagster(home, log, instance)), to_dagster(home, log, instance)) == (3, [])
        assert [event.metadata["verdict"].value for event in shown(instance, GATE)] == ["GO", "NO_GO"]
        (override,) = shown(instance, OVERRIDE)
        assert (override.metadata["by"].value, override.metadata["why"].value) == ("Chair", "worth a week")
        assert "next_step" in shown(instance, GATE)[1].metadata


def test_more_rows_than_a_page_are_found_again(home: Home, log: DecisionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        to_dagster(home, log, instance)
        whole = instance.fetch_materializations
        monkeypatch.setattr(
            instance, "fetch_materializations", lambda key, limit, cursor=None: whole(key, limit=1, cursor=cursor)
        )
        assert to_dagster(home, log, instance) == []


def test_a_decision_is_left_to_the_run_that_makes_it(home: Home, log: DecisionLog) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        with hold(home.lock, "a run"):
            assert [entry.kind for entry in to_dagster(home, log, instance)] == ["override"]
        assert [entry.kind for entry in to_dagster(home, log, instance)] == ["decision", "decision"]


# -- the second witness


def cut(home: Home, *statements: str) -> None:
    """As somebody with the file and no scruples would: the chain that is left holds."""
    import sqlite3

    connection = sqlite3.connect(home.root / "foresight.db")
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()


def test_an_end_that_was_cut_off_is_seen_by_its_copy(home: Home, log: DecisionLog) -> None:
    to_mlflow(home, log)
    assert mirror.strangers(home, log) == []
    gone = log.overrides()[0].sha256
    cut(home, "DELETE FROM overrides", "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
    assert log.verify() is None, "what is left is a chain that holds"
    assert [row.split()[1] for row in mirror.strangers(home, log)] == [gone[:12]]
    result = foresight("log", "--json")
    assert (result.exit_code, json.loads(result.stdout)["intact"]) == (1, False)
    assert f"MLflow has row {gone[:12]}" in result.stderr
    (home.mlflow / "mlflow.db").write_text("not a database " * 100)
    result = foresight("log")
    assert (result.exit_code, "checked without its copies" in result.stderr) == (0, True)


# -- the command line


def foresight(*arguments: str) -> Any:
    import typer
    from typer.testing import CliRunner

    from orchestration.cli.gate import gate_app

    app = typer.Typer()
    app.add_typer(gate_app, name="gate")
    return CliRunner().invoke(app, ["gate", *arguments])


def test_an_override_from_a_terminal_is_copied_at_once(home: Home) -> None:
    result = foresight("approve", "1", "--by", "Chair", "--why", "one week", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [run.info.run_name for run in runs(home)] == ["phase 1 overridden by Chair"]


def test_with_mlflow_away_it_is_signed_all_the_same(home: Home) -> None:
    (home.mlflow / "mlflow.db").write_text("not a database " * 100)
    result = foresight("approve", "1", "--by", "Chair", "--why", "one week", "--json")
    assert (result.exit_code, json.loads(result.stdout)["by"]) == (0, "Chair")
    assert result.stderr.count("\n") == 1
    assert "its copy is made later" in result.stderr


def test_a_home_without_mlflow_gets_none_from_a_signature(tmp_path: Path) -> None:
    assert foresight("approve", "1", "--by", "Chair", "--why", "one week").exit_code == 0
    assert not Home.find().mlflow.exists()
