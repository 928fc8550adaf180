"""Orchestrations that die, are cancelled or come in twos, over a real cluster: one job, one payment, one result."""

import json
import signal
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest

from orchestration.budget.reservations import Reservation
from tests.faults.rows import FaultRow
from tests.stack.remote import ON_RAY, Remote

pytestmark = pytest.mark.stack
LONG = {"steps": 1_000_000, "checkpoint_every": 1_000_000}


def until(true, what: str, patience: float = 150) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"{what}: not in {patience:.0f} s"
        time.sleep(0.5)


def jobs_of(remote: Remote) -> list:
    keys = {one.key for one in remote.ledger.reservations()}
    return [job for job in remote.jobs() if job.metadata["foresight.key"] in keys]


def count(remote: Remote, row: FaultRow, steps: int) -> tuple[Any, Reservation]:
    """Into the row: jobs and payments beyond the first, steps made again, steps that are missing; the first of both."""
    jobs, held = jobs_of(remote), remote.ledger.reservations()
    history = remote.home.run("moving_shapes", "phase1") / "history.jsonl"
    made = [json.loads(line)["step"] for line in history.read_text().splitlines()] if steps else []
    row.twice = len(jobs) - 1 + len(held) - 1 + len(made) - len(set(made))
    row.lost = len(set(range(1, steps + 1)) - set(made))
    return jobs[0], held[0]


def workers(remote: Remote) -> list[psutil.Process]:
    """The processes that work on this programme's phase."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            words = process.info["cmdline"] or []
            ours = process.environ().get("FORESIGHT_OBJECTS") == remote.environment["FORESIGHT_OBJECTS"]
            if ours and "orchestration.worker" in words and "phase1" in words and process.status() != "zombie":
                found.append(process)
    return found


def paid(remote: Remote) -> list[tuple[str, str | None]]:
    return [(one.state, one.ended) for one in remote.ledger.reservations()]


@pytest.mark.fault("orchestrator killed after submit, before the id is stored")
def test_an_orchestration_that_was_killed_after_it_submitted_is_followed_by_one_that_meets_its_job(
    remote: Remote, fault_row: FaultRow
):
    profile = remote.profile(ON_RAY, phase1={"steps": 7})
    killed = remote.start(profile, "phase1", die=True)
    assert killed.wait(120) == -signal.SIGKILL
    assert paid(remote) == [("reserved", None)]
    began = jobs_of(remote)[0].start_time / 1000
    remote.go(profile, "phase1")
    job, held = count(remote, fault_row, steps=7)
    assert (held.state, held.ended) == ("settled", "done")
    fault_row.ended = "right result"
    fault_row.budget_off_s = abs(held.wall_hours * 3600 - (job.end_time / 1000 - began))


@pytest.mark.fault("cancel")
def test_who_cancels_a_run_ends_its_job_and_pays_for_what_it_used(remote: Remote, fault_row: FaultRow):
    run = remote.start(remote.profile(ON_RAY, phase1=LONG), "phase1")
    until(lambda: paid(remote) == [("committed", None)], "a job that runs")
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=120)
    job, held = count(remote, fault_row, steps=0)
    assert job.status.value == "STOPPED"
    assert (held.state, held.ended) == ("settled", "failed")
    taken = job.end_time / 1000 - held.committed_at.timestamp()
    fault_row.ended = "clear failure"
    fault_row.budget_off_s = abs(held.wall_hours * 3600 - taken)


@pytest.mark.fault("a job that hangs")
def test_a_job_that_hangs_is_ended_when_its_hours_are_up_and_is_paid_until_then(remote: Remote, fault_row: FaultRow):
    hours = 40 / 3600
    profile = remote.profile(ON_RAY, phase1=LONG, budget={"max_hours": hours})
    run = remote.start(profile, "phase1")
    until(lambda: paid(remote) == [("committed", None)], "a job that runs")
    until(lambda: workers(remote), "its worker")
    for worker in workers(remote):
        worker.suspend()  # it hears nothing any more, not even that it is to end
    _, said = run.communicate(timeout=150)
    job, held = count(remote, fault_row, steps=0)
    assert run.returncode != 0
    assert "its time is used up" in said
    assert job.status.is_terminal()
    assert (held.state, held.ended) == ("settled", "stopped")
    until(lambda: not workers(remote), "the end of its worker", 30)
    fault_row.ended = "clear failure"
    fault_row.budget_off_s = abs(held.wall_hours - hours) * 3600


@pytest.mark.fault("two orchestrators on one queue")
def test_work_that_two_orchestrations_ask_for_at_once_is_done_once_and_both_have_it(
    remote: Remote, tmp_path, fault_row: FaultRow
):
    other = remote.another(tmp_path / "other")
    profile = remote.profile(ON_RAY, phase1={"steps": 8})
    both = [one.start(profile, "phase1") for one in (remote, other)]
    said = [one.communicate(timeout=300)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    job, held = count(remote, fault_row, steps=8)
    assert (held.state, held.ended) == ("settled", "done")
    results = [(one.home.run("moving_shapes", "phase1") / "history.jsonl").read_bytes() for one in (remote, other)]
    assert results[0] == results[1]
    fault_row.ended = "right result"
    fault_row.budget_off_s = abs(held.wall_hours * 3600 - (job.end_time / 1000 - held.committed_at.timestamp()))
