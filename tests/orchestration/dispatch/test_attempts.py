"""Which attempt is made or met: the same one while it goes on, never two at once, never one that is over."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.budget.reservations import OPEN, Reservation
from orchestration.dispatch.attempts import Job, choose, name, number, submission_id

WORK = "moving_shapes/phase1/0123456789ab"
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def paid(attempt: int, state: str) -> Reservation:
    committed = None if state in ("reserved", "released") else NOON
    key = f"{WORK}/{name(attempt)}"
    return Reservation(key, 1, "a100", 1, 2.0, "phase1", "ada", state, NOON, committed)  # type: ignore[arg-type]


def job(attempt: int, state: str) -> Job:
    return Job(f"id-{attempt}", WORK, attempt, f"{WORK}/{name(attempt)}", state, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reservation", "met", "attempt", "because"),
    [
        (None, None, 1, "nothing was ever done"),
        (paid(1, "reserved"), None, 1, "killed before it was submitted"),
        (paid(1, "reserved"), job(1, "waiting"), 1, "killed before the id was stored"),
        (paid(1, "committed"), job(1, "running"), 1, "killed while it ran"),
        (paid(1, "committed"), job(1, "succeeded"), 1, "it ended while nobody listened"),
        (paid(1, "committed"), job(1, "failed"), 1, "nobody has settled it"),
        (paid(1, "committed"), None, 2, "the cluster has lost it"),
        (paid(1, "expired"), job(1, "running"), 1, "given up, and yet it runs"),
        (paid(1, "expired"), job(1, "failed"), 2, "given up, and it failed"),
        (paid(1, "settled"), job(1, "failed"), 2, "settled as failed"),
        (paid(1, "released"), None, 2, "cancelled while it waited"),
        (paid(3, "settled"), None, 4, "a cluster that was started anew knows none of the three"),
        (paid(1, "committed"), job(2, "running"), 3, "a job that nobody pays for"),
    ],
)
def test_the_attempt_of_paid_work(reservation, met, attempt, because):
    assert choose(reservation, met, in_budget=True) == attempt, because


@pytest.mark.parametrize(("met", "attempt"), [(None, 1), (job(1, "running"), 1), (job(1, "failed"), 2)])
def test_the_attempt_of_work_in_no_budget(met, attempt):
    assert choose(None, met, in_budget=False) == attempt


STATES = st.sampled_from(["reserved", "committed", "settled", "released", "expired"])
JOBS = st.sampled_from(["waiting", "running", "succeeded", "failed", "stopped"])


@given(
    st.none() | st.builds(paid, st.integers(1, 4), STATES),
    st.none() | st.builds(job, st.integers(1, 4), JOBS),
)
def test_nothing_that_is_settled_is_paid_twice_and_nothing_that_runs_with_hours_is_doubled(reservation, met):
    chosen = choose(reservation, met, in_budget=True)
    if reservation and chosen == number(reservation.key):
        assert reservation.state not in ("settled", "released")
    if reservation and met and met.attempt == number(reservation.key) and met.alive and reservation.state in OPEN:
        assert chosen == met.attempt
    if met and chosen == met.attempt:
        assert reservation
        assert number(reservation.key) == chosen


def test_an_id_is_of_work_place_and_attempt_and_of_nothing_else():
    made = submission_id(WORK, "s3://here/a", 1)
    assert made == submission_id(WORK, "s3://here/a", 1)
    others = {
        submission_id(WORK, "s3://here/b", 1),
        submission_id(WORK, "s3://here/a", 2),
        submission_id("d/s/f", "s3://here/a", 1),
    }
    assert made not in others
    assert len(others) == 3
    assert "/" not in made


def test_a_worker_that_lived_and_died_with_its_run_is_no_numbered_attempt():
    assert [number(f"{WORK}/{end}") for end in ("a1", "a12", "1f0b5a6c", "a0", "a1b2c3d4")] == [1, 12, 0, 0, 0]
    assert dataclasses.replace(job(1, "running"), state="failed").alive is False
