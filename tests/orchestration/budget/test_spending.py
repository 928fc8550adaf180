"""The hours around a dispatch: signs of life, how it ended, who started it."""

import logging
import time

import pytest

from orchestration.budget import spending
from orchestration.budget.allowance import StoppedAtReservation
from orchestration.budget.ledger import BudgetRefused, Ledger
from orchestration.budget.spending import account, position, reserved
from orchestration.home import Home
from orchestration.progress import Progress
from orchestration.record import opened
from orchestration.record.store import StoreError
from tests.orchestration.test_worker import job as any_job

LOG = logging.getLogger("test")


@pytest.fixture
def job(tmp_path, database, monkeypatch):
    monkeypatch.setenv("FORESIGHT_DATABASE", database)
    home = Home(tmp_path / "home")
    return any_job(tmp_path, home=home.root, out=home.run("moving_shapes", "phase1"))


@pytest.fixture
def ledger(job) -> Ledger:
    return opened.ledger(Home(job.home))


def until(true, patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_is_reserved_under_who_started_it_and_settled_by_what_it_took(job, ledger, monkeypatch):
    monkeypatch.setenv("FORESIGHT_PERSON", "ada")
    with reserved(account(job), "11111111", LOG) as held:
        assert held.left() == pytest.approx(job.profile.budget.max_hours * 3600, abs=60)
        [one] = ledger.reservations()
        assert (one.state, one.person, one.experiment) == ("committed", "ada", "phase1")
        time.sleep(0.1)
    [one] = ledger.reservations()
    assert (one.state, one.ended) == ("settled", "done")
    assert 0.1 / 3600 <= one.wall_hours < 60 / 3600


def test_a_run_that_fails_is_settled_as_failed(job, ledger):
    with pytest.raises(ZeroDivisionError), reserved(account(job), "11111111", LOG):
        raise ZeroDivisionError
    assert [(one.state, one.ended) for one in ledger.reservations()] == [("settled", "failed")]


def test_a_run_that_stops_says_what_to_do_and_goes_on_for_the_approved_hours(job, ledger):
    work = spending.account(job).work
    said = f"time was up; `foresight budget approve {work} --hours"
    with pytest.raises(StoppedAtReservation, match=said) as stopped, reserved(account(job), "11111111", LOG):
        raise StoppedAtReservation("time was up")
    assert stopped.value.__cause__ is None, "a run shows the first error of a chain: it must be the one with the remedy"
    with pytest.raises(BudgetRefused, match=work), reserved(account(job), "22222222", LOG):
        pytest.fail("dispatched")
    ledger.approve(work, 0.25, "A. Chair", "nearly there")
    with reserved(account(job), "33333333", LOG) as held:
        assert held.left() == pytest.approx(900, abs=60)


def test_signs_of_life_come_whether_or_not_there_is_progress_and_become_a_forecast(job, ledger, monkeypatch):
    monkeypatch.setattr(spending, "BEAT_S", 0.02)
    beats = []
    real = Ledger.heartbeat
    monkeypatch.setattr(Ledger, "heartbeat", lambda self, *given: beats.append(given[1:]) or real(self, *given))
    with reserved(account(job), "11111111", LOG) as held:
        until(lambda: len(beats) >= 3)
        assert set(beats) == {()}, "alive, with nothing to tell"
        for step in range(1, 6):
            held.progress(Progress("phase1", "phase1", step, 100))
            until(lambda step=step: (step, 100) in beats)
        held.progress(Progress("phase1", "set up", 7, 9))
        before = len(beats)
        until(lambda: len(beats) > before + 3)
        [one] = ledger.reservations()
        assert one.foreseen
        assert one.foreseen[0].steps == 100
    told = [beat for beat in beats if beat]
    assert told == [(step, 100) for step in range(1, 6)], "a step is told once, when it is reached"


def test_a_run_whose_reservation_was_given_away_has_no_time_left(job, ledger, monkeypatch):
    monkeypatch.setattr(spending, "BEAT_S", 0.02)

    def lose() -> None:
        with reserved(account(job), "11111111", LOG) as held:
            ledger.settle(held.key, 0.1, "failed")
            until(lambda: held.left() == 0)
            raise StoppedAtReservation("it was ended")

    with pytest.raises(StoppedAtReservation, match=r"was ended.*is settled.*run it again"):
        lose()
    assert ledger.summary()["waiting"] == []


def test_a_ledger_that_is_away_for_a_while_costs_a_warning(job, ledger, monkeypatch, caplog):
    monkeypatch.setattr(spending, "BEAT_S", 0.02)
    beats, real = [], Ledger.heartbeat

    def heartbeat(self, *given):
        beats.append(given)
        if len(beats) <= 2:
            raise StoreError("the database is away")
        return real(self, *given)

    monkeypatch.setattr(Ledger, "heartbeat", heartbeat)
    with reserved(account(job), "11111111", LOG) as held:
        held.progress(Progress("phase1", "phase1", 5, 10))
        until(lambda: len(beats) >= 4)
        assert held.left() > 0
    assert "the database is away" in caplog.text
    assert (held.key, 5, 10) in beats[2:], "what could not be told is told later"


def test_steps_are_counted_over_the_arms_and_only_of_training():
    assert position(Progress("phase1", "phase1", 3, 10)) == (3, 10)
    assert position(Progress("phase2", "phase2 hybrid", 3, 10)) == (3, 30)
    assert position(Progress("phase2", "phase2 dino_only", 3, 10)) == (23, 30)
    assert position(Progress("evaluate", "metrics of hybrid", 3, 10)) is None
    assert position(Progress("evaluate", "boxes", 1, 1)) is None


def test_a_user_without_a_name_is_a_number(monkeypatch):
    monkeypatch.delenv("FORESIGHT_PERSON", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert spending.person().startswith("user ")
