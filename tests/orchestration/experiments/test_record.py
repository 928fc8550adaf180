"""Decisions on experiments are appended once, chained, and answered by signed overrides; Phase 1 looks at them."""

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration.experiments.declaration import PremiseDeclaration
from orchestration.experiments.premise import decide
from orchestration.experiments.record import ExperimentLog
from orchestration.gates.clearance import ClearanceRefused, premise_clearance
from orchestration.record import store
from orchestration.record.decisions import DecisionLog, OverrideError
from orchestration.record.store import Store
from tests.orchestration.experiments.audits import DECLARATION, WEIGHTS, audit

DAY = dt.datetime(2030, 1, 10, 12, tzinfo=dt.UTC)
NOW = {"qwen": WEIGHTS["qwen"], "dinov2": WEIGHTS["dinov2"], "vae": WEIGHTS["vae"]}
FALLS = {"qwen_premerge": 0.58}


@pytest.fixture
def time() -> list[dt.datetime]:
    return [DAY]


@pytest.fixture
def records(tmp_path: Path) -> Store:
    return Store(tmp_path / "foresight.db")


@pytest.fixture
def log(records: Store, time: list[dt.datetime]) -> ExperimentLog:
    return ExperimentLog(records, lambda: time[0])


def decided(log: ExperimentLog, *arguments, **changes) -> str:
    decision = decide(DECLARATION, audit(*arguments, **changes), standins_decide=["laptop"])
    log.record(decision)
    return decision.verdict


def cleared(log: ExperimentLog, dataset="moving_shapes", profile="a100", standins=False, weights=NOW):
    return premise_clearance(log, DECLARATION, dataset=dataset, profile=profile, standins=standins, weights=weights)


def test_the_same_decision_is_recorded_once_and_another_after_it_stands(log):
    for _ in range(2):
        decided(log)
    assert len(log.decisions("premise")) == 1
    assert decided(log, FALLS) == "falls"
    assert decided(log) == "stands"
    assert [one.verdict for _, one in log.decisions("premise")] == ["stands", "falls", "stands"]


def test_the_record_is_chained_and_an_edit_is_found(log, records, tmp_path):
    decided(log, FALLS)
    log.approve("premise", "Chair", "DINOv2 is wanted", profile="a100")
    assert DecisionLog(records).verify() is None
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'foresight.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_update")
        edited = sa.func.replace(store.events.c.document, '"falls"', '"stands"')
        connection.execute(store.events.update().values(document=edited))
    assert "events, row 1" in str(DecisionLog(records).verify())


def test_phase_1_is_refused_until_the_premise_is_decided_on_real_weights(log):
    with pytest.raises(
        ClearanceRefused, match="not decided; `foresight experiment premise --profile a100` decides it"
    ) as said:
        cleared(log).require()
    assert said.value.exit_code == 3
    assert decided(log, standins=True) == "open"
    assert "the premise was audited on stand-ins only; `foresight experiment premise" in cleared(log).because
    assert decided(log, standins=True, profile="laptop") == "stands"
    assert not cleared(log).allowed
    assert decided(log) == "stands"
    assert "the premise stands" in cleared(log).require().because


@pytest.mark.parametrize(
    ("iou", "said"), [(FALLS, "the premise falls"), ({"qwen_premerge": 0.4}, "the premise is open")]
)
def test_a_premise_that_does_not_stand_waits_for_a_person(log, time, iou, said):
    decided(log, iou)
    assert not cleared(log).allowed
    assert f"{said}; `foresight experiment approve premise" in cleared(log).because
    log.approve("premise", "Chair", "worth a week", dt.date(2030, 1, 12), profile="a100")
    assert f"{said}, overridden by Chair until 2030-01-12: worth a week" in cleared(log).require().because
    time[0] = DAY + dt.timedelta(days=3)
    assert not cleared(log).allowed


def test_an_override_without_an_end_is_over_with_the_next_decision(log):
    decided(log, FALLS)
    log.approve("premise", "Chair", "go on", profile="a100")
    assert cleared(log).allowed
    decided(log, {"qwen_premerge": 0.6})
    assert not cleared(log).allowed


def test_nobody_overrides_without_a_name_a_reason_and_a_day_to_come(log):
    for by, why, until in (("", "why", None), ("Chair", " ", None), ("Chair", "why", dt.date(2030, 1, 9))):
        with pytest.raises(OverrideError):
            log.approve("premise", by, why, until, profile="a100")


def test_a_decision_on_other_weights_or_under_another_declaration_does_not_count(log):
    decided(log)
    assert not cleared(log, weights={**NOW, "qwen": "other"}).allowed
    other = PremiseDeclaration.model_validate(DECLARATION.model_dump(by_alias=True) | {"seed": 1})
    assert log.standing(other, profile="a100", dataset="moving_shapes") is None


def test_what_one_data_set_settled_counts_for_another_that_cannot(log):
    decided(log)
    assert cleared(log, dataset="street").allowed
    assert decided(log, dataset="street", localisation={}, differences=[]) == "open"
    assert cleared(log, dataset="street").allowed
    decided(log, FALLS, dataset="street")
    assert not cleared(log, dataset="street").allowed
    assert cleared(log).allowed


def test_on_stand_ins_nothing_waits_and_the_clearance_says_so(log):
    assert (
        "on stand-ins waits for no premise (it is not decided)" in cleared(log, profile="laptop", standins=True).because
    )
    decided(log, FALLS, standins=True, profile="laptop")
    assert "for stand-ins it falls" in cleared(log, profile="laptop", standins=True, weights=None).because
