"""What every test stands on: no network, no telemetry, few threads, and a home of its own."""

import os
from pathlib import Path

import pytest

from tests.left_behind import pytest_configure, pytest_sessionfinish  # noqa: F401  hooks
from tests.postgres import database, new_database, postgres  # noqa: F401  fixtures
from tests.s3 import objects, s3_alone  # noqa: F401  fixtures
from tests.stack.remote import remote, remote_made  # noqa: F401  fixtures
from tests.stack.servers import (  # noqa: F401  fixtures
    mlflow,
    mlflow_server,
    ray_cluster,
    ray_nodes,
    s3,
    s3_server,
    server_folder,
)

REPOSITORY = Path(__file__).parent.parent
os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "OMP_NUM_THREADS": "1",
    "FORESIGHT_WEIGHTS": os.environ.get("FORESIGHT_WEIGHTS", str(REPOSITORY / ".foresight" / "weights")),
}


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """No test reads or writes the state of a real run."""
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    for name in ("FORESIGHT_DATABASE", "FORESIGHT_DAGSTER_DATABASE", "FORESIGHT_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
