"""The programme on servers: ledger and decisions in PostgreSQL, the record in MLflow's server, its files in S3."""

import json

import boto3
import mlflow as client
import pytest

from orchestration.home import Home
from orchestration.record.opened import decisions
from tests.stack.conftest import foresight

pytestmark = pytest.mark.stack


def test_phase_1_is_made_decided_and_recorded_on_the_servers(
    small_profile, new_database, postgres, s3, mlflow, monkeypatch, tmp_path
):
    home = tmp_path / "home"
    monkeypatch.setenv("FORESIGHT_DATABASE", new_database())
    monkeypatch.setenv("FORESIGHT_DAGSTER_DATABASE", new_database())
    run = foresight(
        home, "run", "--data", "moving_shapes", "--profile", str(small_profile), "--until", "phase1", "--json"
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert not (home / "foresight.db").exists()
    assert not (home / "mlflow" / "mlflow.db").exists()
    assert not list((home / "dagster").rglob("*.db"))
    ((_, decision),) = decisions(Home(home)).decisions(1)
    budget = json.loads(foresight(home, "budget", "--json").stdout)
    states = {one["work"].split("/")[1]: one["state"] for one in budget["reservations"]}
    assert set(states.values()) == {"settled"}
    client.set_tracking_uri(mlflow.url)
    (run_id,) = {str(one) for one in decision.pins["runs"].values()}
    losses = client.MlflowClient().get_metric_history(run_id, "loss")
    assert [one.step for one in losses] == [1, 2, 3]
    bucket, _, prefix = mlflow.artifacts.removeprefix("s3://").partition("/")
    listed = boto3.Session().client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert any(each["Key"].endswith("model.safetensors") and run_id in each["Key"] for each in listed)
    left = [path for path in home.rglob("*") if path.is_file() and path.stat().st_size < 2**22]
    for secret in (postgres.password, s3.secret_key):
        assert not [str(path) for path in left if secret.encode() in path.read_bytes()]
