"""Where the cluster is and what its jobs are told, before anything is asked of it; and what is done about orphans."""

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from orchestration.dispatch.cluster import Cluster, Unreachable
from orchestration.dispatch.task import DispatchError
from orchestration.orphans import orphans
from orchestration.reconciling import act
from tests.orchestration.dispatch.fakes import Client, cluster_of

SET = {
    "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9",
    "FORESIGHT_OBJECTS": "s3://bucket/programme",
    "MLFLOW_TRACKING_URI": "http://mlflow",
}


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("name", SET)
def test_what_is_not_set_is_named(environment, name):
    environment.delenv(name)
    with pytest.raises(DispatchError, match=name):
        Cluster.of_environment()


def test_a_file_of_this_machine_is_nothing_that_workers_share(environment):
    environment.setenv("MLFLOW_TRACKING_URI", "sqlite:////home/ada/mlflow.db")
    with pytest.raises(DispatchError, match="set MLFLOW_TRACKING_URI to what all machines share"):
        Cluster.of_environment()


def test_an_address_with_a_password_is_refused_because_the_dashboard_would_show_it(environment):
    environment.setenv("MLFLOW_TRACKING_URI", "http://ada:planted@mlflow")
    with pytest.raises(DispatchError, match="MLFLOW_TRACKING_URI holds a credential") as refused:
        Cluster.of_environment()
    assert "planted" not in str(refused.value)


def test_a_cluster_that_is_not_there_is_said_in_one_line(environment):
    with pytest.raises(Unreachable, match="does not answer") as refused:
        Cluster.of_environment()
    assert "\n" not in str(refused.value)


def submitted(client: Client, attempt: int, key: str) -> str:
    cluster = cluster_of(client)
    job_id = cluster.id_of("clips/run", attempt)
    said = {"foresight.work": "clips/run", "foresight.attempt": str(attempt), "foresight.key": key}
    cluster.submit(job_id, "python", env={}, metadata=said, needs={"CPU": 1.0, "memory": 1.0})
    client.held[job_id].status = "RUNNING"
    return job_id


def test_one_look_sets_runs_jobs_and_hours_right(ledger, clock, tmp_path):
    client = Client()
    for attempt, key in ((1, "clips/run/a1"), (2, "clips/run/a2")):
        ledger.reserve(key, phase=1, gpus=1, max_hours=2, device="a100")
        ledger.commit(key)
        client_job = submitted(client, attempt, key)
        if attempt == 1:
            clock.pass_hours(1)
            silent = client_job
    instance = dg.DagsterInstance.ephemeral()
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    dead = orphans(instance, tmp_path / "lock", grace=0)
    act(instance, dead, cluster_of(client), ledger)
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert client.stopped == [silent], "nobody pays for it; the other one has its hours"
    began = ledger.reservations()[0].committed_at.timestamp()
    client.held[silent].end_time = int((began + 1800) * 1000)
    act(instance, [], cluster_of(client), ledger)
    first, second = ledger.reservations()
    assert (first.state, first.wall_hours) == ("settled", pytest.approx(0.5))
    assert second.state == "committed"
    assert act(instance, [], cluster_of(client), ledger) == []
