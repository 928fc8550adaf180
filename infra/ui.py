"""The web pages as plain processes on loopback: Dagster's webserver and daemon, and MLflow's, each in its own group.

They start together and end together: on Ctrl-C, on SIGTERM, or when one of them ends. A port in use is seen before
anything starts, so that nothing is left running.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestration.dispatch.local import end_group, worker_environment
from orchestration.home import Home
from orchestration.instance import prepare

HOST = "127.0.0.1"
READY_S = 120.0
TAIL = 3


class UiError(RuntimeError):
    """The pages cannot be served."""


class _Ended(Exception):
    """Someone asked the pages to end."""


def commands(home: Home, dagster_port: int, mlflow_port: int) -> dict[str, list[str]]:
    """The three processes, by name."""
    module = ["-m", "orchestration.definitions"]
    scripts = Path(sys.executable).parent
    dagster_page = ["-h", HOST, "-p", str(dagster_port)]
    store = ["--backend-store-uri", home.tracking_uri, "--default-artifact-root", (home.mlflow / "artifacts").as_uri()]
    return {
        "dagster": [str(scripts / "dagster-webserver"), *module, *dagster_page],
        "daemon": [str(scripts / "dagster-daemon"), "run", *module],
        "mlflow": [str(scripts / "mlflow"), "ui", *store, "--host", HOST, "--port", str(mlflow_port), "--workers", "1"],
    }


def serve(home: Home, dagster_port: int, mlflow_port: int) -> int:
    """Serve until asked to end. Gives 0, or 1 when a process ended by itself.

    Raises:
        UiError: a port is in use, or a page did not come up.
    """
    for name, port in (("Dagster", dagster_port), ("MLflow", mlflow_port)):
        require_free(name, port)
    prepare(home)
    home.mlflow.mkdir(parents=True, exist_ok=True)
    logs = home.dagster / "ui"
    logs.mkdir(parents=True, exist_ok=True)
    environment = {**worker_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"}
    with _processes(commands(home, dagster_port, mlflow_port), environment, logs) as running:
        try:
            _wait_for({"dagster": dagster_port, "mlflow": mlflow_port}, running, logs)
            print(
                f"Dagster  http://{HOST}:{dagster_port}\nMLflow   http://{HOST}:{mlflow_port}\nCtrl-C ends both.",
                flush=True,
            )
            while True:
                _require_alive(running, logs)
                time.sleep(0.5)
        except (_Ended, KeyboardInterrupt):
            print("ended", flush=True)
    return 0


def require_free(name: str, port: int) -> None:
    """Refuse a port that something else listens on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            option = f"--{name.lower()}-port"
            raise UiError(
                f"port {port} is in use, so {name}'s page cannot start; end what uses it or give {option}"
            ) from None


@contextmanager
def _processes(table: dict[str, list[str]], environment: dict[str, str], logs: Path) -> Iterator[dict[str, Any]]:
    """All processes, each with a log; whatever happens inside, every group is ended at the end."""
    running: dict[str, Any] = {}
    before = {number: signal.signal(number, _ended) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        for name, command in table.items():
            with (logs / f"{name}.log").open("w", encoding="utf-8") as log:
                running[name] = subprocess.Popen(
                    command,
                    env=environment,
                    cwd=os.environ["DAGSTER_HOME"],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        yield running
    finally:
        for process in running.values():
            end_group(process)
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(number: int, frame: Any) -> None:
    raise _Ended


def _wait_for(ports: dict[str, int], running: dict[str, Any], logs: Path) -> None:
    deadline = time.monotonic() + READY_S
    for name, port in ports.items():
        while not _answers(port):
            _require_alive(running, logs)
            if time.monotonic() > deadline:
                raise UiError(
                    f"{name}'s page did not answer on port {port} in {READY_S:.0f} s; see {logs / f'{name}.log'}"
                )
            time.sleep(0.3)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _require_alive(running: dict[str, Any], logs: Path) -> None:
    for name, process in running.items():
        if process.poll() is not None:
            path = logs / f"{name}.log"
            tail = " ".join(path.read_text(encoding="utf-8", errors="replace").split("\n")[-TAIL:]).strip()
            raise UiError(f"{name} ended with status {process.returncode}: {tail or 'it said nothing'} (see {path})")
