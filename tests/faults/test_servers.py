"""Servers that go away while work goes on: MLflow for a minute in training, PostgreSQL restarted."""

import threading
import time

import pytest

from infra.stack import ray
from orchestration import tracking
from orchestration.budget.ledger import Ledger
from orchestration.home import Home
from orchestration.plan.programme import load
from orchestration.record.store import Store, StoreError
from tests.stack.servers import jobs_client

pytestmark = pytest.mark.stack
AWAY_S = 60.0
STEP_S = 0.1
STEPS = 800


@pytest.mark.fault("MLflow away for a minute in training")
def test_mlflow_is_away_for_a_minute_in_training(mlflow, tmp_path, fault_row):
    import mlflow as client

    home = Home(tmp_path / "home")
    tracking.connect(home)
    tracking.experiment(home, tracking.EXPERIMENTS[1])

    def away() -> None:
        mlflow.stop()
        time.sleep(AWAY_S)
        mlflow.start()

    slowest, outage = 0.0, threading.Thread(target=away)
    with client.start_run() as begun:
        run = tracking.Run(begun.info.run_id)
        with tracking.steps(run, lambda *_: None) as progress:
            for step in range(1, STEPS + 1):
                began = time.monotonic()
                progress("phase1", step, STEPS, {"loss": 1 / step, "eta_s": 1.0})
                slowest = max(slowest, time.monotonic() - began)
                if step == 50:
                    outage.start()
                time.sleep(STEP_S)
        outage.join()
    kept = client.MlflowClient().get_metric_history(run.id, "loss")
    fault_row.lost = STEPS - len({one.step for one in kept})
    fault_row.twice = len(kept) - len({one.step for one in kept})
    fault_row.ended = "right result"
    assert {one.step: one.value for one in kept} == {step: pytest.approx(1 / step) for step in range(1, STEPS + 1)}
    assert slowest < STEP_S, "a step never waits for MLflow"
    assert client.get_run(run.id).info.status == "FINISHED"


@pytest.mark.fault("PostgreSQL restarted")
def test_postgresql_is_restarted_while_reservations_are_made_and_settled(postgres, new_database, fault_row):
    ledger = Ledger(Store(new_database()), load())
    done: list[str] = []
    failed: list[str] = []
    outage = threading.Thread(target=lambda: (postgres.stop(), time.sleep(2), postgres.start()))
    number, deadline = 0, time.monotonic() + 120
    while (len(done) < 30 or outage.is_alive()) and time.monotonic() < deadline:
        key = f"restart/{number}"
        if number == 10 and not failed and outage.ident is None:
            outage.start()
        try:
            if key not in _keys(ledger):
                ledger.reserve(key, phase=1, gpus=1, max_hours=0.1, device="a100")
            ledger.commit(key)
            ledger.settle(key, 0.01, "done")
        except StoreError as error:
            failed.append(str(error))
            time.sleep(0.3)
            continue
        done.append(key)
        number += 1
    outage.join()
    found = {one["key"]: one["state"] for one in ledger.summary()["reservations"]}
    fault_row.lost = sum(found.get(key) != "settled" for key in done)
    fault_row.twice = len(found) - len(done)
    used = sum(one["gpu_hours"] for one in ledger.summary()["reservations"])
    fault_row.budget_off_s = (used - 0.01 * len(done)) * 3600
    fault_row.ended = "right result"
    assert failed, "it was away while something was written"
    assert all("nothing was written" in line for line in failed)


def _keys(ledger: Ledger) -> set[str]:
    return {one["key"] for one in ledger.summary()["reservations"]}


@pytest.mark.fault("Ray's head restarted")
def test_rays_head_is_restarted_while_a_job_runs_on_a_worker(ray_cluster, tmp_path, fault_row):
    from ray.job_submission import JobStatus

    ticks = tmp_path / "ticks"
    script = tmp_path / "tick.py"
    script.write_text(
        f"import time\nwith open({str(ticks)!r}, 'a', 1) as file:\n"
        "    for _ in range(60):\n        file.write('.\\n')\n        time.sleep(0.5)\n"
    )
    jobs = jobs_client(ray_cluster.environment)
    key = jobs.submit_job(
        entrypoint=f"python {script}",
        submission_id="before-the-restart",
        entrypoint_num_cpus=0,
        entrypoint_resources={f"node:{ray.address(1)}": 0.001},
    )
    _until(lambda: ticks.is_file() and len(ticks.read_text().split()) > 4, "the job's first ticks")
    ray_cluster.kill(0)
    ray_cluster.mend()
    jobs = jobs_client(ray_cluster.environment)
    assert jobs.get_job_info(key).submission_id == key, "the head knows the job that it had"
    with pytest.raises(RuntimeError, match="already exists"):
        jobs.submit_job(entrypoint="true", submission_id=key)
    _until(lambda: jobs.get_job_status(key).is_terminal(), "the job's end")
    done = len(ticks.read_text().split())
    fault_row.twice = max(0, done - 60)
    fault_row.lost = 0
    fault_row.ended = "right result" if jobs.get_job_status(key) == JobStatus.SUCCEEDED else "clear failure"
    if fault_row.ended == "right result":
        fault_row.lost = 60 - done
    else:
        assert jobs.get_job_info(key).message
    _until(lambda: list(ray_cluster.cluster.nodes().values()) == ["ALIVE", "ALIVE"], "both nodes")


def _until(found, what: str, patience_s: float = 120.0) -> None:
    deadline = time.monotonic() + patience_s
    while not found():
        assert time.monotonic() < deadline, f"no {what} in {patience_s:.0f} s"
        time.sleep(0.3)
