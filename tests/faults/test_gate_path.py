"""The gate path under faults: killed, its record or MLflow away, told the same twice, its clock set back, edited."""

import datetime as dt
import sqlite3

import pytest

from orchestration.documents import parse_evaluation
from orchestration.gates.clearance import clearance
from orchestration.plan.programme import load

pytestmark = pytest.mark.stack


def test_killed_at_every_point_nothing_is_lost_and_nothing_doubled(tmp_path, monkeypatch):
    """Two kills at each of the seven points; `make fault-figures` prints the figures of 200."""
    from tests.faults.kills import run

    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    figures = run(tmp_path / "home", 14)
    assert set(figures.points.values()) == {2}
    assert len(figures.points) == 7
    assert figures.decisions == figures.launches == {"made": 14, "lost": 0, "doubled": 0}
    assert figures.record == "whole"


@pytest.mark.parametrize("what", ["database", "mlflow"])
def test_with_the_record_or_mlflow_away_there_is_no_verdict_and_then_exactly_one(machine, record, what):
    from tests.faults import location

    away = location.files(machine.home)[what]
    machine.evaluate("run-1")
    machine.tick(away=what, failing=True)
    machine.tick(2, failing=True)
    assert away.is_dir(), "it was away when the gate began"
    location.bring_back(away)
    assert record.decided() == []
    assert record.launched() == 0
    machine.tick(4)
    assert record.decided() == ["GO"]
    assert record.launched() == 1
    assert record.mirrored() == 2  # this one, and that of the phase it launched
    assert record.log.verify() is None


def test_the_same_measurement_again_is_one_decision_and_one_launch(machine, record):
    for _ in range(2):
        machine.evaluate("run-1")
        machine.tick(3)
    assert record.decided() == ["GO"]
    assert record.launched() == 1
    machine.evaluate("run-2")
    machine.tick(3)
    assert record.decided() == ["GO", "GO"]
    assert record.launched() == 2


def test_a_clock_set_back_delays_what_the_daemon_does_and_loses_and_doubles_nothing(machine, record):
    machine.evaluate("run-1")
    machine.tick(3)
    machine.now -= dt.timedelta(hours=1)
    machine.evaluate("run-2")
    machine.tick(1)
    machine.now += dt.timedelta(hours=1)
    machine.tick(3)
    assert record.decided() == ["GO", "GO"]
    assert record.launched() == 2


def test_a_decision_edited_by_hand_launches_nothing_and_is_named(machine, record):
    from tests.faults import location

    made = location.evaluated(machine.home, 2, "run-1")  # of phase 2: a NO_GO
    machine.work(lambda instance, _: instance.report_runless_asset_event(location.materialization(2, made)))
    record.log.decide(load(), parse_evaluation(made), pins={"dataset": "moving_shapes"}, profile="laptop")
    with sqlite3.connect(location.files(machine.home)["database"]) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        changed = "UPDATE decisions SET verdict = 'GO', document = replace(document, ?, ?)"
        assert database.execute(changed, ('"verdict":"NO_GO"', '"verdict":"GO"')).rowcount == 1
    database.close()
    assert record.decided(2) == ["GO"], "it reads as one"
    machine.tick(3, failing=True)
    assert record.launched(3) == 0
    assert "decisions, row 1" in (record.log.verify() or "")
    refused = clearance(3, record.log, load(), dataset="moving_shapes", profile="laptop")
    assert not refused.allowed
    assert "the record is broken at decisions, row 1" in refused.because
