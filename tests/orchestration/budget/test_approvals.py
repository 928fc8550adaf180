"""Work that stops at its reservation asks, and goes on for as long as a person has said; forecasts meet the truth."""

import pytest

from orchestration.budget.ledger import BudgetRefused, Ledger, LedgerError
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from tests.orchestration.ledgers import Clock, a100

WORK = "clips/phase1/abc"


def stopped(ledger: Ledger, clock: Clock, attempt: str = "1", hours: float = 2.0) -> None:
    """An attempt that uses up its reservation, at step 50 of 100 and at a steady pace."""
    a100(ledger, f"{WORK}/{attempt}", hours)
    ledger.commit(f"{WORK}/{attempt}")
    for step in range(0, 51, 10):
        ledger.heartbeat(f"{WORK}/{attempt}", step, 100)
        if step < 50:
            clock.pass_hours(hours / 5)
    ledger.settle(f"{WORK}/{attempt}", ended="stopped")


def test_work_that_stopped_is_not_dispatched_again_until_hours_are_approved(ledger: Ledger, clock: Clock) -> None:
    stopped(ledger, clock)
    with pytest.raises(BudgetRefused) as refusal:
        a100(ledger, f"{WORK}/2", 2)
    for said in (f"{WORK} stopped at the end of its 2 h", "about 2 h more", f"foresight budget approve {WORK}"):
        assert said in str(refusal.value)
    [waiting] = ledger.summary()["waiting"]
    assert (waiting["work"], waiting["wall_hours"]) == (WORK, pytest.approx(2))
    assert waiting["needs"]["hours"] == pytest.approx(2)
    a100(ledger, "clips/phase1/other/1", 2)

    given = ledger.approve("clips/phase1", 1.5, "A. Chair", "it still learns")
    assert (given.work, ledger.granted(WORK)) == (WORK, 1.5)
    assert ledger.summary()["waiting"] == []
    with pytest.raises(BudgetRefused, match=r"1\.5 h were approved"):
        a100(ledger, f"{WORK}/2", 2)
    a100(ledger, f"{WORK}/2", 1.5)
    ledger.commit(f"{WORK}/2")
    ledger.settle(f"{WORK}/2", 1.2)
    assert ledger.granted(WORK) is None
    assert a100(ledger, f"{WORK}/3", 2).state == "reserved", "what came to its end asks for nothing"


def test_who_stops_again_asks_again(ledger: Ledger, clock: Clock) -> None:
    stopped(ledger, clock)
    ledger.approve(WORK, 1, "A. Chair", "a little more")
    stopped(ledger, clock, "2", 1)
    with pytest.raises(BudgetRefused, match="stopped at the end of its 1 h"):
        a100(ledger, f"{WORK}/3", 1)
    ledger.approve(WORK, 4, "A. Chair", "then the rest")
    assert [one["hours"] for one in ledger.summary()["approvals"]] == [1, 4]
    assert ledger.granted(WORK) == 4


@pytest.mark.parametrize("end", ["failed", "released", "expired", "expired and settled"])
def test_a_run_that_breaks_leaves_the_rest_of_what_was_approved(ledger: Ledger, clock: Clock, end: str) -> None:
    stopped(ledger, clock)
    ledger.approve(WORK, 1.5, "A. Chair", "it still learns")
    a100(ledger, f"{WORK}/2", 1.5)
    if end == "released":
        ledger.release(f"{WORK}/2")
    else:
        ledger.commit(f"{WORK}/2")
        clock.pass_hours(0.2)
        ledger.heartbeat(f"{WORK}/2")
    if end == "failed":
        ledger.settle(f"{WORK}/2", ended="failed")
    clock.pass_hours(0.5)
    if end.startswith("expired"):
        assert [one.key for one in ledger.expire()] == [f"{WORK}/2"]
    if end == "expired and settled":
        ledger.settle(f"{WORK}/2", 0.2, ended="failed")
    assert ledger.granted(WORK) == pytest.approx(1.5 if end == "released" else 1.3)


def test_a_broken_run_that_used_up_what_was_approved_asks_again(ledger: Ledger, clock: Clock) -> None:
    stopped(ledger, clock)
    ledger.approve(WORK, 1, "A. Chair", "it still learns")
    a100(ledger, f"{WORK}/2", 1)
    ledger.commit(f"{WORK}/2")
    ledger.settle(f"{WORK}/2", 1.01, ended="failed")
    with pytest.raises(BudgetRefused, match="budget approve"):
        a100(ledger, f"{WORK}/3", 1)


@pytest.mark.parametrize(
    ("work", "hours", "by", "why", "said"),
    [
        ("clips/phase1", 1, " ", "why", "needs a name"),
        ("clips/phase1", 1, "A. Chair", "", "needs a reason"),
        ("clips/phase1", 0, "A. Chair", "why", "cannot be approved"),
        ("clips/phase1", float("inf"), "A. Chair", "why", "cannot be approved"),
        ("clips/phase2", 1, "A. Chair", "why", f"waiting: {WORK}"),
        ("clips/pha", 1, "A. Chair", "why", "0 runs of that name"),
    ],
)
def test_nobody_approves_what_makes_no_sense(
    ledger: Ledger, clock: Clock, work: str, hours: float, by: str, why: str, said: str
) -> None:
    stopped(ledger, clock)
    with pytest.raises(LedgerError, match=said):
        ledger.approve(work, hours, by, why)
    assert ledger.summary()["approvals"] == []


def test_an_approval_does_not_lift_the_cap(ledger: Ledger, clock: Clock) -> None:
    stopped(ledger, clock)
    ledger.approve(WORK, 100, "A. Chair", "as long as it takes")
    with pytest.raises(BudgetRefused, match="do not fit phase 1"):
        a100(ledger, f"{WORK}/2", 100)


def test_an_edited_approval_is_found(ledger: Ledger, clock: Clock, store: Store) -> None:
    stopped(ledger, clock)
    ledger.approve(WORK, 1, "A. Chair", "it still learns")
    with store.write() as connection:
        on = " ON ledger" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER ledger_no_update{on}")
        connection.exec_driver_sql("UPDATE ledger SET document = replace(document, '\"hours\":1.0', '\"hours\":9.0')")
    assert "its document was changed" in str(DecisionLog(store).verify())


# -- forecasts, and what came of them


def trains(ledger: Ledger, clock: Clock, key: str, *, slower: float = 1.0) -> None:
    """100 steps of 36 s, the last half `slower` times as long."""
    ledger.reserve(key, phase=1, gpus=1, max_hours=5, device="a100", experiment="phase1")
    ledger.commit(key)
    for step in range(1, 101):
        clock.pass_hours(0.01 * (slower if step > 50 else 1))
        ledger.heartbeat(key, step, 100)


def test_a_forecast_is_recorded_once_in_a_tenth_and_its_error_is_shown_at_the_end(ledger: Ledger, clock: Clock) -> None:
    trains(ledger, clock, "clips/phase1/abc/1", slower=2)
    before = ledger.summary()["reservations"][0]
    assert before["forecast_error"] is None
    assert [seen["reached"] for seen in before["foreseen"]] == [4, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    ledger.settle("clips/phase1/abc/1")
    after = ledger.summary()["reservations"][0]
    assert after["foreseen"] == before["foreseen"]
    assert after["foreseen"][0]["hours"] == pytest.approx(1.0)
    assert after["forecast_error"] == pytest.approx(1.0 / 1.5 - 1)


@pytest.mark.parametrize("ended", ["failed", "stopped"])
def test_a_run_that_did_not_come_to_its_end_is_no_truth_about_the_forecast(
    ledger: Ledger, clock: Clock, ended: str
) -> None:
    trains(ledger, clock, "clips/phase1/abc/1")
    ledger.settle("clips/phase1/abc/1", ended=ended)
    assert ledger.summary()["reservations"][0]["forecast_error"] is None


def evaluated(ledger: Ledger, number: int, hours: float) -> None:
    key = f"clips/evaluate1/abc/{number}"
    ledger.reserve(key, phase=1, gpus=1, max_hours=5, device="a100", experiment="phase1/evaluation")
    ledger.commit(key)
    ledger.settle(key, hours)


def test_until_the_gate_is_the_training_and_its_evaluation_as_those_before(ledger: Ledger, clock: Clock) -> None:
    def running() -> dict:
        return ledger.summary()["reservations"][-1]["until_gate"]

    ledger.reserve("clips/phase1/abc/1", phase=1, gpus=2, max_hours=5, device="a100", experiment="phase1")
    ledger.commit("clips/phase1/abc/1")
    for step in range(0, 50, 10):
        ledger.heartbeat("clips/phase1/abc/1", step, 140)
        clock.pass_hours(0.1)
    gate = running()
    assert (gate["hours"], gate["low"], gate["evaluations_measured"]) == (None, pytest.approx(1), 0)
    assert gate["left_hours"] == pytest.approx(80 / 2 - 0.5)
    assert gate["enough"] == "unclear"
    for number in range(3):
        evaluated(ledger, number, 0.5)
    [gate] = [one["until_gate"] for one in ledger.summary()["reservations"] if one["state"] == "committed"]
    assert (gate["hours"], gate["enough"]) == (pytest.approx(1.5), "yes")
    evaluated(ledger, 3, 78.5)
    [gate] = [one["until_gate"] for one in ledger.summary()["reservations"] if one["state"] == "committed"]
    assert gate["enough"] == "no", "a phase whose cap is used up does not reach its gate"


def test_hours_and_money_are_told_by_experiment_and_person(ledger: Ledger) -> None:
    for number, (person, gpus, hours) in enumerate((("ada", 1, 2.0), ("bo", 4, 1.0), ("ada", 1, 1.0))):
        key = f"clips/phase2/abc/{number}"
        given = {"gpus": gpus, "max_hours": 5, "device": "a100", "experiment": f"e{number % 2}", "person": person}
        ledger.reserve(key, phase=2, **given)
        ledger.commit(key)
        ledger.settle(key, hours)
    summary = ledger.summary()
    assert summary["people"]["ada"] == {"gpu_hours": 3, "wall_hours": 3, "usd": 6}
    assert summary["people"]["bo"] == {"gpu_hours": 4, "wall_hours": 1, "usd": 8}
    assert summary["experiments"]["e0"]["usd"] == 6
    assert (summary["phases"][1]["used_usd"], summary["phases"][1]["cap_usd"]) == (14, 200)
