"""Dagster's daemon and a code server as processes of their own, to be killed with all their children."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from orchestration.home import REPOSITORY, Home
from orchestration.instance import SETTINGS
from tests.faults import location

PATIENCE_S = 150.0
SCRIPTS = Path(sys.executable).parent


class Group:
    """A process and its children, killed together as by a power cut."""

    def __init__(self, home: Home, name: str, *command: str) -> None:
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home.dagster),
            "FORESIGHT_HOME": str(home.root),
            location.INSTALLED: "yes",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")])),
        }
        self.log = (home.root / f"{name}.log").open("a")
        self.process = subprocess.Popen(
            command, env=environment, stdout=self.log, stderr=self.log, cwd=home.root, start_new_session=True
        )

    def kill(self) -> None:
        """SIGKILL to all of them."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def prepare(home: Home, workspace: str) -> None:
    """The settings of `foresight ui`, and where the code lies."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    (home.dagster / "dagster.yaml").write_text(SETTINGS)
    (home.root / "workspace.yaml").write_text(workspace)


@contextmanager
def daemon(home: Home) -> Iterator[Group]:
    """`dagster-daemon run`, with the code servers and run workers that it starts."""
    yield from _ending(Group(home, "daemon", str(SCRIPTS / "dagster-daemon"), "run", "-w", "workspace.yaml"))


@contextmanager
def code_server(home: Home, port: int) -> Iterator[Group]:
    """The code location behind a port."""
    where = ["--module-name", "tests.faults.location", "--host", "127.0.0.1", "--port", str(port)]
    yield from _ending(Group(home, "code", str(SCRIPTS / "dagster"), "api", "grpc", *where))


def _ending(group: Group) -> Iterator[Group]:
    try:
        yield group
    finally:
        group.kill()


def evaluate(home: Home, run: str) -> None:
    """A new evaluation of phase 1."""
    made = location.evaluated(home, 1, run)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        instance.report_runless_asset_event(location.materialization(1, made))


def until(found: Callable[[], object], what: str, home: Home) -> None:
    """Wait for something to be true."""
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        if time.monotonic() > deadline:
            said = {path.name: path.read_text(errors="replace")[-3000:] for path in home.root.glob("*.log")}
            raise AssertionError(f"no {what} in {PATIENCE_S:.0f} s: {said}")
        time.sleep(0.3)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
