"""The pages as a browser shows them: Dagster's with the materialized assets, MLflow's comparison of runs."""

import shutil
import sqlite3
import subprocess

import pytest

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Debian's package chromium is not installed"),
]


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
