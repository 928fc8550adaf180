"""A phase starts on the GO of the one before it, or on a person's word that still counts."""

import datetime as dt
from pathlib import Path

import pytest

from orchestration.gates.clearance import ClearanceRefused, clearance
from orchestration.plan.programme import load
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from tests.orchestration.evaluations import evaluation, metric
from tests.orchestration.record.test_decisions import tamper

PROGRAMME = load()
DAY = dt.datetime(2030, 1, 10, 12, tzinfo=dt.UTC)
SHAPES = {"dataset": "shapes", "profile": "laptop"}


@pytest.fixture
def time() -> list[dt.datetime]:
    return [DAY]


@pytest.fixture
def log(tmp_path: Path, time: list[dt.datetime]) -> DecisionLog:
    return DecisionLog(Store(tmp_path / "foresight.db"), lambda: time[0])


def decided(log: DecisionLog, iou: float) -> None:
    log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(iou)), pins={"dataset": "shapes"})


def test_the_first_phase_needs_nothing(log: DecisionLog) -> None:
    assert clearance(1, log, PROGRAMME).allowed
    with pytest.raises(ValueError, match="no phase 4"):
        clearance(4, log, PROGRAMME)


def test_an_undecided_phase_clears_nothing(log: DecisionLog) -> None:
    refused = clearance(2, log, PROGRAMME, **SHAPES)
    assert not refused.allowed
    assert "phase 1 is not decided; `foresight gate decide 1`" in refused.because


def test_go_clears_the_next_phase_and_no_other(log: DecisionLog) -> None:
    decided(log, 0.8)
    assert clearance(2, log, PROGRAMME, **SHAPES).require().override is None
    assert not clearance(3, log, PROGRAMME, **SHAPES).allowed
    assert not clearance(2, log, PROGRAMME, dataset="real", profile="laptop").allowed
    assert not clearance(2, log, PROGRAMME, dataset="shapes", profile="a100").allowed


@pytest.mark.parametrize(
    ("iou", "said"), [(0.6, "NO_GO (abort)"), (0.7, "MARGINAL (wait)"), (0.75, "INCONCLUSIVE (wait)")]
)
def test_all_else_is_refused_with_exit_3(log: DecisionLog, iou: float, said: str) -> None:
    decided(log, iou)
    with pytest.raises(ClearanceRefused) as refusal:
        clearance(2, log, PROGRAMME, **SHAPES).require()
    assert said in str(refusal.value)
    assert refusal.value.exit_code == 3


def test_the_latest_decision_counts(log: DecisionLog) -> None:
    decided(log, 0.8)
    decided(log, 0.6)
    assert not clearance(2, log, PROGRAMME, **SHAPES).allowed


def test_an_override_clears_visibly_until_it_expires(log: DecisionLog, time: list[dt.datetime]) -> None:
    decided(log, 0.6)
    log.approve(1, "Chair", "worth a week", dt.date(2030, 1, 12), **SHAPES)
    cleared = clearance(2, log, PROGRAMME, **SHAPES)
    assert cleared.allowed
    assert cleared.override is not None
    assert "NO_GO (abort), overridden by Chair until 2030-01-12: worth a week" in cleared.because
    time[0] = DAY + dt.timedelta(days=3)
    refused = clearance(2, log, PROGRAMME, **SHAPES)
    assert not refused.allowed
    assert "the override by Chair ended on 2030-01-12" in refused.because


def test_on_a_record_that_was_edited_nothing_is_cleared(log: DecisionLog, tmp_path: Path) -> None:
    decided(log, 0.6)
    go = "UPDATE decisions SET verdict = 'GO', document = replace(document, '\"NO_GO\"', '\"GO\"')"
    tamper(tmp_path / "foresight.db", go)
    refused = clearance(2, log, PROGRAMME, **SHAPES)
    assert not refused.allowed
    assert "the record is broken at decisions, row 1" in refused.because
