"""The web pages: a port in use is one line and nothing is left running; what was started ends together."""

import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from infra import ui
from infra.processes import ServerError, leftovers, require_free
from infra.stack import dagster, mlflow
from orchestration.home import REPOSITORY, Home

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_port_in_use_is_said_in_one_line_and_nothing_is_started(tmp_path, taken):
    command = [
        sys.executable,
        "-m",
        "orchestration.cli.app",
        "ui",
        "--dagster-port",
        str(taken),
        "--mlflow-port",
        str(free()),
    ]
    environment = {**os.environ, "FORESIGHT_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        == f"foresight: port {taken} is in use, so Dagster's page cannot start; end what uses it or give --dagster-port"
    )
    assert not (tmp_path / "home").exists()


def test_a_free_port_is_let_through():
    port = free()
    require_free("MLflow", port, "--mlflow-port")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "looking at a port leaves nothing listening on it"


def test_when_one_process_ends_by_itself_all_end_and_its_last_words_are_told(tmp_path, monkeypatch):
    failing = [sys.executable, "-c", "import sys; sys.exit('no database')"]
    monkeypatch.setattr(dagster, "page", lambda _: SLEEPER)
    monkeypatch.setattr(dagster, "page_answers", lambda _: True)
    monkeypatch.setattr(dagster, "daemon", lambda: SLEEPER)
    monkeypatch.setattr(mlflow, "command", lambda *_: failing)
    with pytest.raises(ServerError, match="MLflow ended with status 1: no database"):
        ui.serve(Home(tmp_path / "home"), free(), free())
    assert leftovers(tmp_path) == []


def test_sigterm_ends_every_process(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom infra import ui\nfrom infra.stack import dagster, mlflow\n"
        "from orchestration.home import Home\n"
        f"dagster.page = dagster.daemon = mlflow.command = lambda *_: {SLEEPER!r}\n"
        "dagster.page_answers = ui.page_answers = lambda _: True\n"
        f"ui.serve(Home(Path({str(tmp_path / 'home')!r})), {free()}, {free()})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline().startswith("Dagster")
    assert len(psutil.Process(process.pid).children(recursive=True)) == 3
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert leftovers(tmp_path) == []
