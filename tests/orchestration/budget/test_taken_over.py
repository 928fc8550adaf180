"""A reservation whose run was lost: taken over with the worker that still runs, and paid for once whatever happens."""

import logging

import pytest

from orchestration.budget.ledger import BudgetRefused, LedgerError
from orchestration.budget.reservations import OPEN
from orchestration.budget.spending import Paid, account, reserved
from orchestration.dispatch.task import Detached
from orchestration.home import Home
from orchestration.record import opened
from orchestration.record.decisions import DecisionLog
from tests.orchestration.test_worker import job as any_job

KEY = "clips/run/a1"
LOG = logging.getLogger("test")


@pytest.fixture
def expired(ledger, clock):
    """One that was given up after an hour of signs of life."""
    ledger.reserve(KEY, phase=1, gpus=1, max_hours=10, device="a100")
    ledger.commit(KEY)
    clock.pass_hours(1)
    ledger.heartbeat(KEY)
    clock.pass_hours(1)
    assert [one.wall_hours for one in ledger.expire()] == [pytest.approx(1)]
    return ledger


def test_hours_that_expired_while_the_worker_went_on_are_held_again_and_run_from_its_start(expired):
    one = expired.resume(KEY)
    assert (one.state, one.gpu_hours) == ("committed", 10)
    assert expired.heartbeat(KEY) == pytest.approx(8)
    assert expired.settle(KEY).wall_hours == pytest.approx(2)
    assert len(expired.reservations()) == 1


def test_hours_that_expired_while_the_worker_waited_for_a_machine_are_held_again_and_do_not_run(ledger, clock):
    key = "clips/waits/a1"
    ledger.reserve(key, phase=1, gpus=2, max_hours=10, device="a100")
    clock.pass_hours(1)
    assert [one.key for one in ledger.expire()] == [key]
    one = ledger.resume(key)
    assert (one.state, one.committed_at, one.gpu_hours) == ("reserved", None, 20)
    clock.pass_hours(0.1)
    assert ledger.commit(key).committed_at is not None
    assert ledger.settle(key, 1).gpu_hours == 2


def test_a_reservation_may_fall_silent_more_than_once(expired, clock, store):
    for silences in (2, 3):
        expired.resume(KEY)
        clock.pass_hours(1)
        assert [one.key for one in expired.expire()] == [KEY]
        assert expired.reservations()[0].silences == silences
    assert expired.settle(KEY, 2.5).wall_hours == 2.5
    assert DecisionLog(store).verify() is None


def test_hours_that_were_given_to_others_meanwhile_are_not_held_twice(expired):
    expired.reserve("clips/other/a1", phase=1, gpus=1, max_hours=expired.caps[1] - 1, device="a100")
    with pytest.raises(BudgetRefused, match="do not fit"):
        expired.resume(KEY)
    assert expired.reservations()[0].state == "expired"


def test_what_is_settled_is_not_taken_up_again(expired):
    expired.settle(KEY, 1.5)
    with pytest.raises(LedgerError, match="only what expired"):
        expired.resume(KEY)


def test_the_same_request_in_another_name_is_the_same_reservation(ledger):
    asked = {"phase": 1, "gpus": 1, "max_hours": 2, "device": "a100"}
    assert ledger.reserve(KEY, person="ada", **asked) == ledger.reserve(KEY, person="grace", **asked)


@pytest.fixture
def job(tmp_path):
    home = Home(tmp_path / "home")
    return any_job(tmp_path, home=home.root, out=home.run("moving_shapes", "phase1"))


def test_a_run_that_cannot_tell_what_its_worker_does_leaves_the_hours_to_the_next(job):
    ledger = opened.ledger(Home(job.home))

    def lose_sight() -> None:
        with reserved(account(job), "a1", LOG, waits=True) as held:
            held.began()
            raise Detached("the cluster is away")

    with pytest.raises(Detached):
        lose_sight()
    assert [one.state for one in ledger.reservations()] == ["committed"]
    found = Paid(account(job), LOG).last()
    assert found is not None
    assert found.state in OPEN
    with reserved(account(job), "a1", LOG, waits=True) as held:
        assert held.began_at == found.committed_at
    assert [(one.state, one.ended) for one in ledger.reservations()] == [("settled", "done")]


def test_a_worker_that_waits_for_a_machine_uses_no_hours(job):
    ledger = opened.ledger(Home(job.home))
    with reserved(account(job), "a1", LOG, gpus=2, waits=True) as held:
        assert held.left() == job.profile.budget.max_hours * 3600
        assert [(one.state, one.gpus) for one in ledger.reservations()] == [("reserved", 2)]
    assert [one.state for one in ledger.reservations()] == ["released"]
