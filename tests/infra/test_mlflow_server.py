"""MLflow's server over PostgreSQL and S3: who records needs no key, and no secret stands in a command line or a log."""

import mlflow as client
import pytest

pytestmark = pytest.mark.stack


def test_artifacts_go_to_s3_through_the_server_and_no_secret_is_seen(
    mlflow, s3_server, postgres, monkeypatch, tmp_path
):
    for name in s3_server.environment:
        monkeypatch.delenv(name, raising=False)
    client.set_tracking_uri(mlflow.url)
    client.set_experiment("one")
    with client.start_run() as run:
        client.log_metric("loss", 0.5, step=3)
        client.log_text("kept", "note.txt")
    assert client.artifacts.load_text(f"{run.info.artifact_uri}/note.txt") == "kept"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    members = mlflow.running.server.members()
    seen = " ".join(part for process in members for part in process.cmdline())
    seen += (mlflow.folder / "mlflow.log").read_text()
    assert "postgresql" in seen
    assert postgres.password not in seen
    assert s3_server.secret_key not in seen
