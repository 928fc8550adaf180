"""One small programme run, made once, for all tests that look at what a run leaves."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from orchestration.profile import PROFILES

SMALL = {
    "clips": {"train": 32, "heldout": 24, "per_shard": 16},
    "phase1": {"steps": 3},
    "phase2": {"steps": 3},
    "phase3": {"steps": 3},
    "evaluation": {"clips": 24, "sampling_steps": 2, "vgg_clips": 4, "fvd_clips": 2, "resamples": 200},
}


def foresight(home: Path, *arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """The command line over `home`, as a person calls it."""
    environment = {**os.environ, "FORESIGHT_HOME": str(home)}
    command = [sys.executable, "-m", "orchestration.cli.app", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="session")
def small_profile(tmp_path_factory) -> Path:
    """The laptop profile at a size that ends in minutes."""
    profile = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
    for section, changes in SMALL.items():
        profile[section].update(changes)
    path = tmp_path_factory.mktemp("profile") / "small.yaml"
    path.write_text(yaml.safe_dump(profile | {"name": "small"}))
    return path


@pytest.fixture(scope="session")
def programme(tmp_path_factory, small_profile) -> Path:
    """The home of a finished run over generated clips."""
    home = tmp_path_factory.mktemp("programme") / "home"
    arguments = ("--data", "moving_shapes", "--profile", str(small_profile))
    run = foresight(home, "run", *arguments, "--override-by", "test", "--why", "three steps train nothing")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return home


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def pages(programme, small_profile) -> Iterator[tuple[str, str]]:
    """Dagster's and MLflow's pages over that home, and Dagster's daemon."""
    ports = _free_port(), _free_port()
    command = [sys.executable, "-m", "orchestration.cli.app", "ui", "--profile", str(small_profile)]
    command += ["--dagster-port", str(ports[0]), "--mlflow-port", str(ports[1])]
    server = subprocess.Popen(
        command,
        env={**os.environ, "FORESIGHT_HOME": str(programme)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _wait(ports)
    yield f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
    os.kill(server.pid, signal.SIGTERM)
    server.wait(timeout=60)


def _wait(ports: tuple[int, int], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    for port in ports:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline, f"nothing answers on port {port}"
                time.sleep(0.5)
