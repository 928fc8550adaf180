"""Whatever stands alone, one look sets right: what is done follows from what stands, and done again changes nothing."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from orchestration.budget.reservations import OPEN
from orchestration.dispatch.orphans import FailRun, Run, Settle, StopJob, reconcile
from tests.orchestration.dispatch.test_attempts import JOBS, NOON, STATES, job, paid

ENDED = NOON.timestamp() + 1800


def ended(attempt: int, state: str):
    made = job(attempt, state)
    return made if made.alive else dataclasses.replace(made, ended_at=ENDED)


def test_a_run_without_its_process_is_failed_and_one_that_works_is_left_alone():
    assert reconcile([Run("dead", False), Run("works", True)], [], []) == [FailRun("dead")]


def test_a_job_that_somebody_pays_for_is_left_alone():
    assert reconcile([], [job(1, "running"), job(2, "waiting")], [paid(1, "committed"), paid(2, "reserved")]) == []


def test_a_job_whose_hours_were_given_back_is_ended():
    found = reconcile(
        [], [job(1, "running"), job(2, "running"), job(3, "running")], [paid(1, "expired"), paid(2, "settled")]
    )
    assert found == [StopJob("id-1"), StopJob("id-2"), StopJob("id-3")]


def test_a_job_that_ended_while_nobody_listened_is_booked_by_its_own_end():
    [found] = reconcile([], [ended(1, "succeeded")], [paid(1, "expired")])
    assert found == Settle(paid(1, "expired").key, 1800.0, "done")


def test_a_job_that_no_machine_was_found_for_is_booked_with_nothing():
    waited = dataclasses.replace(ended(1, "stopped"), ran=False)
    assert reconcile([], [waited], [paid(1, "expired")]) == [Settle(paid(1, "expired").key, 0.0, "failed")]


def test_hours_without_a_job_are_left_to_their_expiry():
    assert reconcile([], [], [paid(1, "reserved"), paid(2, "committed"), paid(3, "expired")]) == []


def test_what_is_in_no_budget_is_left_to_its_own_longest_runtime():
    assert reconcile([], [dataclasses.replace(job(1, "running"), key="")], []) == []


@given(
    st.lists(st.builds(Run, st.text(max_size=3), st.booleans()), max_size=4, unique_by=lambda run: run.id),
    st.lists(st.builds(ended, st.integers(1, 5), JOBS), max_size=5, unique_by=lambda one: one.attempt),
    st.lists(st.builds(paid, st.integers(1, 5), STATES), max_size=5, unique_by=lambda one: one.key),
)
def test_after_what_is_done_nothing_stands_alone_and_nothing_is_left_to_do(runs, jobs, reservations):
    actions = reconcile(runs, jobs, reservations)
    assert len(set(actions)) == len(actions), "nothing is done twice"
    failed = {action.run for action in actions if isinstance(action, FailRun)}
    stopped = {action.job for action in actions if isinstance(action, StopJob)}
    settled = {action.key: action for action in actions if isinstance(action, Settle)}
    open_keys = {one.key for one in reservations if one.state in OPEN}
    assert not open_keys & set(settled), "whoever listens books it"
    assert not {one.id for one in jobs if one.key in open_keys} & stopped, "what is paid for works on"
    assert all(0 <= action.seconds <= ENDED for action in settled.values())
    runs = [run for run in runs if run.id not in failed]
    jobs = [dataclasses.replace(one, state="stopped", ended_at=ENDED) if one.id in stopped else one for one in jobs]
    reservations = [dataclasses.replace(one, state="settled") if one.key in settled else one for one in reservations]
    assert all(run.alive for run in runs)
    assert all(one.key in open_keys for one in jobs if one.alive)
    again = reconcile(runs, jobs, reservations)
    assert all(isinstance(action, Settle) for action in again), "a job that was just ended is booked at the next look"
    late = {action.key for action in again}
    booked = [dataclasses.replace(one, state="settled") if one.key in late else one for one in reservations]
    assert reconcile(runs, jobs, booked) == []
