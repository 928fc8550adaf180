"""Dagster's own daemon, code server and run workers, killed for real while an evaluation is being decided."""

import time

import pytest

from orchestration.home import Home
from tests.faults import processes
from tests.faults.conftest import Record

pytestmark = pytest.mark.stack
MODULE = "load_from: [{python_module: tests.faults.location}]\n"
SERVER = "load_from: [{{grpc_server: {{host: 127.0.0.1, port: {port}, location_name: gate_path}}}}]\n"
AFTER_S = 12.0
"""Two of the daemon's rounds: in them something would be done twice, if it were."""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


def settled(home: Home) -> None:
    """Decided once and launched once, and so it stays."""
    record = Record(home)
    processes.until(lambda: record.launched() and record.mirrored() == 2, "launch of the next phase", home)
    time.sleep(AFTER_S)
    assert record.decided() == ["GO"]
    assert record.launched() == 1
    assert record.log.verify() is None


def test_everything_is_killed_once_the_decision_is_written(home):
    processes.prepare(home, MODULE)
    (home.root / "hold.decision").touch()
    processes.evaluate(home, "run-1")
    with processes.daemon(home) as daemon:
        processes.until((home.root / "held.decision").exists, "decision", home)
        daemon.kill()
    assert Record(home).decided() == ["GO"], "it was in the log before anything acted on it"
    assert Record(home).mirrored() == 0
    (home.root / "hold.decision").unlink()
    with processes.daemon(home):
        settled(home)


def test_the_code_location_is_replaced_in_mid_tick(home):
    port = processes.free_port()
    processes.prepare(home, SERVER.format(port=port))
    (home.root / "hold.tick").touch()
    processes.evaluate(home, "run-1")
    with processes.daemon(home):
        with processes.code_server(home, port) as server:
            processes.until((home.root / "held.tick").exists, "tick", home)
            server.kill()
        assert Record(home).decided() == []
        (home.root / "hold.tick").unlink()
        with processes.code_server(home, port):
            settled(home)
