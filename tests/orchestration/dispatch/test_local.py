"""What comes back from a worker: its result, its progress, its failure, and never a success that it did not report."""

import sys
import threading
import time

import dagster as dg
import psutil
import pytest

from orchestration.budget.allowance import StoppedAtReservation, countdown
from orchestration.dispatch.local import run as dispatch
from orchestration.dispatch.task import DispatchError, WorkerRefused
from orchestration.progress import Progress

WORKER = """
import sys, os, time
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as pipes:
    send = pipes.report_custom_message
    {body}
"""


def run(tmp_path, body, each=None, left=None):
    """Dispatch a worker of a few lines inside an asset; the result, or what was raised."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(body=body.replace("\n", "\n    ")))
    caught = {}

    @dg.asset
    def thing(context: dg.AssetExecutionContext):
        try:
            caught["result"] = dispatch(context, f"{sys.executable} {script}", cwd=tmp_path, each=each, left=left)
        except (DispatchError, StoppedAtReservation) as error:
            caught["error"], caught["kind"] = str(error), type(error)
        return dg.MaterializeResult()

    assert dg.materialize([thing]).success
    return caught


def test_the_final_message_is_the_result_and_progress_comes_before_it(tmp_path):
    seen = []
    body = (
        "send({'type': 'progress', 'stage': 's', 'what': 'w', 'done': 1, 'total': 2, 'numbers': {'loss': 0.5}})\n"
        "send({'type': 'result', 'result': {'clips': 3}})"
    )
    result = run(tmp_path, body, seen.append)["result"]
    assert result.pop("worker_seconds") > 0
    assert result == {"clips": 3}
    assert seen == [Progress("s", "w", 1, 2, {"loss": 0.5})]


def test_exit_0_without_a_final_message_is_a_failure(tmp_path):
    body = "send({'type': 'progress', 'stage': 's', 'what': 'w', 'done': 1, 'total': 1, 'numbers': {}})"
    assert "exited 0 without its final message" in run(tmp_path, body)["error"]


def test_a_failure_carries_the_workers_own_words(tmp_path):
    error = run(tmp_path, "send({'type': 'failed', 'error': 'the disk is full'}); os._exit(1)")["error"]
    assert error.endswith("ended with exit status 1: the disk is full")


def test_a_worker_that_is_killed_names_the_signal(tmp_path):
    assert "signal SIGKILL" in run(tmp_path, "sys.stdout.flush(); os.kill(os.getpid(), 9)")["error"]


@pytest.mark.parametrize(
    ("said", "kind"), [("StoppedAtReservation", StoppedAtReservation), ("StorageRefused", WorkerRefused)]
)
def test_a_worker_that_will_not_go_on_is_a_refusal_in_its_own_words(tmp_path, said, kind):
    caught = run(tmp_path, f"send({{'type': 'failed', 'error': 'ask for more', 'kind': '{said}'}}); os._exit(3)")
    assert (caught["error"], caught["kind"]) == ("ask for more", kind)
    assert caught["kind"].exit_code == 3


def test_a_worker_that_does_not_end_is_ended_before_its_reservation_is(tmp_path):
    left = countdown(2.0)
    caught = run(tmp_path, "(open('pid', 'w').write(str(os.getpid())), time.sleep(600))", left=left)
    assert caught["kind"] is StoppedAtReservation
    assert "its reservation is used up" in caught["error"]
    worker = int((tmp_path / "pid").read_text()) if (tmp_path / "pid").exists() else None
    assert worker is None or not psutil.pid_exists(worker)


def test_a_worker_that_ends_in_time_is_left_alone(tmp_path):
    made = run(tmp_path, "time.sleep(1.2); send({'type': 'result', 'result': {'clips': 3}})", left=countdown(60))
    assert made["result"]["clips"] == 3


def test_two_dispatches_each_get_their_own_messages(tmp_path):
    for clips in (1, 2):
        made = run(tmp_path, f"send({{'type': 'result', 'result': {{'clips': {clips}}}}})")
        assert made["result"]["clips"] == clips


def test_whoever_ends_the_dispatcher_ends_the_worker_and_its_children(tmp_path, monkeypatch):
    from orchestration.dispatch import local as module

    started, real = threading.Event(), module.subprocess.Popen
    processes = []

    class Interrupted(real):
        def wait(self, timeout=None):
            if timeout is None and not started.is_set():
                processes.append(self.pid)
                while not (tmp_path / "child").exists():
                    time.sleep(0.05)
                started.set()
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(module.subprocess, "Popen", Interrupted)
    script = tmp_path / "parent.py"
    script.write_text(
        "import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\nchild.wait()\n"
    )
    with pytest.raises(KeyboardInterrupt):
        module._run(f"{sys.executable} {script}", tmp_path, module.worker_environment(), None)
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the worker's child is still there")
    assert started.is_set()
    assert not psutil.pid_exists(processes[0]) or psutil.Process(processes[0]).status() == psutil.STATUS_ZOMBIE
