"""The pages as a browser shows them: Dagster's with the materialized assets, MLflow's comparison of runs."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request

import pytest

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Debian's package chromium is not installed"),
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def pages(programme):
    ports = _free_port(), _free_port()
    command = [sys.executable, "-m", "orchestration.cli.app", "ui", "--dagster-port", str(ports[0])]
    command += ["--mlflow-port", str(ports[1])]
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


def _dom(url: str, folder) -> str:
    """The page's document after its scripts ran."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}"]
    flags += ["--window-size=1600,1200", "--virtual-time-budget=30000", "--dump-dom"]
    shown = subprocess.run(["chromium", *flags, url], capture_output=True, text=True, timeout=180, check=False)
    return shown.stdout


def test_dagster_shows_the_materialized_assets(pages, tmp_path):
    page = _dom(f"{pages[0]}/assets", tmp_path)
    assert "moving_shapes" in page
    assert "phase1" in page or "Materialized" in page


def test_mlflow_compares_two_arms(pages, programme, tmp_path):
    with sqlite3.connect(programme / "mlflow" / "mlflow.db") as database:
        rows = database.execute(
            "select r.run_uuid, r.experiment_id from runs r join experiments e using (experiment_id) "
            "where e.name like '2 %' and r.run_uuid in (select run_uuid from tags where key='mlflow.parentRunId')"
        ).fetchall()
    assert len(rows) >= 2
    runs = ",".join(f'"{run}"' for run, _ in rows[:2])
    url = f'{pages[1]}/#/compare-runs?runs=[{runs}]&experiments=["{rows[0][1]}"]'
    page = _dom(url, tmp_path)
    assert "Comparing 2 Runs" in page
    assert "eval_lpips" in page
