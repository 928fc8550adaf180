"""What the sensors ask for follows from what stands: asked again, it is the same run; failed, the next attempt."""

import datetime as dt

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from orchestration import groups
from orchestration.data.datasets import GENERATED, Dataset
from orchestration.lock import hold
from orchestration.orphans import fail_orphans
from orchestration.plan.programme import load
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from orchestration.sensors import FOR, to_decide, to_launch
from tests.orchestration.evaluations import evaluation, metric

DATASET = Dataset(GENERATED, GENERATED)
FAILURE, SUCCESS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def log(tmp_path) -> DecisionLog:
    return DecisionLog(Store(tmp_path / "foresight.db"))


def evaluated(instance, **changes):
    made = evaluation(1, **changes)
    key = groups.key(GENERATED, "phase1_evaluation")
    said = {"evaluation": dg.MetadataValue.json(made.document())}
    instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=said))
    return made


def gated(instance, log, made):
    decision = log.decide(load(), made, pins={"dataset": GENERATED})
    said = {"decision": dg.MetadataValue.json(decision.document())}
    instance.report_runless_asset_event(dg.AssetMaterialization(groups.key(GENERATED, "phase1_gate"), metadata=said))
    return decision


def asked(instance, log, after=dt.timedelta()):
    return to_decide(instance, log, DATASET, 1, dt.datetime.now(dt.UTC) + after)


def ended(instance, request, *, began: bool):
    """The run of a request, as one that failed."""
    run = create_run_for_test(instance, tags=dict(request.tags))
    if began:
        event = dg.DagsterEvent("STEP_START", run.job_name, step_key="train")
        now = dt.datetime.now(dt.UTC).timestamp()
        instance.handle_new_event(dg.EventLogEntry(None, "DEBUG", "", run.run_id, now, "train", run.job_name, event))
    instance.report_run_failed(run)
    return run


def test_nothing_is_decided_before_something_was_measured(instance, log):
    assert "has not been evaluated" in asked(instance, log).skip_message


def test_a_new_evaluation_is_asked_for_under_one_key_until_it_is_decided(instance, log):
    made = evaluated(instance)
    first, again = asked(instance, log), asked(instance, log)
    assert first.run_key == again.run_key
    assert first.asset_selection == [groups.key(GENERATED, "phase1_gate")]
    gated(instance, log, made)
    assert asked(instance, log).skip_message.startswith("decided: GO")


def test_the_same_measurement_made_again_needs_no_second_decision(instance, log):
    gated(instance, log, evaluated(instance))
    evaluated(instance)
    assert "decided" in asked(instance, log).skip_message


def test_another_measurement_is_decided_anew(instance, log):
    gated(instance, log, evaluated(instance))
    evaluated(instance, lpips=metric(0.21))
    assert isinstance(asked(instance, log), dg.RunRequest)


def test_a_gate_that_is_materialized_without_its_row_in_the_log_is_not_decided(instance, log, tmp_path):
    gated(instance, log, evaluated(instance))
    restored = DecisionLog(Store(tmp_path / "an_older_copy.db"))
    assert isinstance(asked(instance, restored), dg.RunRequest)


def test_a_gate_run_that_failed_is_tried_again_later_under_the_next_number(instance, log):
    evaluated(instance)
    first = asked(instance, log)
    ended(instance, first, began=True)
    assert "1 tries" in asked(instance, log).skip_message
    second = asked(instance, log, dt.timedelta(seconds=61))
    assert (first.run_key[-2:], second.run_key[-2:]) == ("/1", "/2")
    ended(instance, second, began=True)
    assert "2 tries" in asked(instance, log, dt.timedelta(seconds=61)).skip_message
    assert asked(instance, log, dt.timedelta(hours=2)).run_key.endswith("/3")


def test_a_clock_that_was_set_back_delays_no_decision(instance, log):
    evaluated(instance)
    ended(instance, asked(instance, log), began=True)
    assert asked(instance, log, -dt.timedelta(days=3)).run_key.endswith("/2")


def test_a_go_launches_the_next_phase_under_one_key(instance, log):
    decision = gated(instance, log, evaluated(instance))
    (request,) = to_launch(instance, log, DATASET, "laptop")
    assert decision.sha256 in request.run_key
    assert [key.path[-1] for key in request.asset_selection] == ["phase2", "phase2_evaluation", "phase2_gate"]
    ended(instance, request, began=True)
    assert [one.run_key for one in to_launch(instance, log, DATASET, "laptop")] == [request.run_key]


def test_a_launch_that_was_refused_before_it_began_is_asked_for_again(instance, log):
    gated(instance, log, evaluated(instance))
    (request,) = to_launch(instance, log, DATASET, "laptop")
    ended(instance, request, began=False)
    (again,) = to_launch(instance, log, DATASET, "laptop")
    assert (request.run_key[-2:], again.run_key[-2:]) == ("/1", "/2")
    assert again.tags[FOR] == request.tags[FOR]


def test_what_is_not_go_launches_nothing(instance, log):
    gated(instance, log, evaluated(instance, lpips=metric(0.6)))
    assert list(to_launch(instance, log, DATASET, "laptop")) == []


def test_a_run_whose_process_is_gone_is_reported_as_failed(instance, tmp_path):
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    assert fail_orphans(instance, tmp_path / "lock") == [], "it may have begun this moment"
    assert fail_orphans(instance, tmp_path / "lock", grace=0) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status == FAILURE


def test_a_run_is_no_orphan_while_or_just_after_the_lock_is_held(instance, tmp_path):
    create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    with hold(tmp_path / "lock", "a run"):
        assert fail_orphans(instance, tmp_path / "lock", grace=0) == []
    assert fail_orphans(instance, tmp_path / "lock") == []
