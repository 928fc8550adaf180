"""`approve_gate`: a signature from Dagster's launchpad."""

import datetime as dt
from typing import Any

import dagster as dg
import pytest

from orchestration.definitions import build
from orchestration.gates.approval import Approval, approve_gate
from orchestration.home import Home
from orchestration.plan.programme import load
from orchestration.record import mirror
from orchestration.record.opened import decisions
from orchestration.resources import Foresight
from tests.orchestration.evaluations import evaluation, metric

SIGNED = {"phase": 1, "by": "A. Chair", "why": "worth a week", "until": "2999-01-31"}


@pytest.fixture(autouse=True)
def _no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "to_mlflow", lambda *_: [])


@pytest.fixture
def home() -> Home:
    made = Home.find()
    decisions(made).decide(load(), evaluation(1, spatial_iou=metric(0.5)), pins={"dataset": "moving_shapes"})
    return made


def approve(home: Home, instance: dg.DagsterInstance, **config: Any) -> dg.ExecuteInProcessResult:
    return approve_gate.execute_in_process(
        run_config={"ops": {"sign": {"config": config}}},
        resources={"foresight": Foresight(home_folder=str(home.root), profile_name="laptop")},
        instance=instance,
        raise_on_error=False,
    )


def test_it_is_recorded_and_seen_on_its_asset(home: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert approve(home, instance, **SIGNED).success
        (override,) = decisions(home).overrides(1)
        assert (override.by, override.why, override.until) == ("A. Chair", "worth a week", dt.date(2999, 1, 31))
        latest = decisions(home).latest(1)
        assert latest is not None
        assert override.decision_sha256 == latest.sha256
        key = dg.AssetKey(["moving_shapes", "phase1_override"])
        (record,) = instance.fetch_materializations(key, limit=10).records
        assert record.asset_materialization is not None
        document: Any = record.asset_materialization.metadata["override"].value
        assert document["sha256"] == override.sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"why": ""}, "needs a reason"),
        ({"why": " \n"}, "needs a reason"),
        ({"why": "\u200b\u2060"}, "needs a reason"),
        ({"by": "  "}, "needs a name"),
        ({"until": "2001-01-01"}, "is past"),
        ({"until": "soon"}, "not a date; give YYYY-MM-DD"),
        ({"dataset": "nothing"}, "no such data set; there are moving_shapes"),
        ({"phase": 4}, "less than or equal to 3"),
    ],
)
def test_what_nobody_answers_for_fails_the_run_and_records_nothing(home: Home, change: Any, said: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        done = approve(home, instance, **SIGNED | change)
        assert not done.success
        failure: Any = done.get_step_failure_events()[0].step_failure_data.error
        words = ""
        while failure is not None:
            words, failure = words + failure.message, failure.cause
        assert said in words
    assert decisions(home).overrides() == []


def test_it_can_be_signed_while_a_run_goes_on(home: Home, holder: Any) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert approve(home, instance, **SIGNED).success


def test_the_launchpad_shows_the_job_and_the_graph_its_assets(tmp_path) -> None:
    definitions = build(Home(tmp_path / "home"), "laptop")
    assert definitions.resolve_job_def("approve_gate").description
    assert set(Approval.to_fields_dict()) == {"phase", "by", "why", "until", "dataset"}
    graph = definitions.resolve_asset_graph()
    for phase in (1, 2, 3):
        node = graph.get(dg.AssetKey(["moving_shapes", f"phase{phase}_override"]))
        assert node.parent_keys == {dg.AssetKey(["moving_shapes", f"phase{phase}_gate"])}
        assert not node.is_materializable
    programme = definitions.resolve_job_def("programme")
    assert not any("override" in key.path[-1] for key in programme.asset_layer.executable_asset_keys)
