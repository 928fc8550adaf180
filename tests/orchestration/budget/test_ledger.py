"""The ledger never promises an hour twice, never loses one, and charges what was used."""

import pytest

from orchestration.budget.ledger import BudgetRefused, Ledger, LedgerError
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store, StoreError
from tests.orchestration.ledgers import Clock, a100


def left(ledger: Ledger, phase: int = 1) -> float:
    return ledger.summary()["phases"][phase - 1]["left_gpu_hours"]


def test_a_run_from_reservation_to_settlement(ledger: Ledger, clock: Clock) -> None:
    a100(ledger, "run", 10, gpus=4)
    assert left(ledger) == 40
    ledger.commit("run")
    for _ in range(8):
        clock.pass_hours(0.25)
        ledger.heartbeat("run")
    settled = ledger.settle("run")
    assert (settled.state, settled.wall_hours, settled.gpu_hours) == ("settled", 2.0, 8.0)
    summary = ledger.summary()
    assert (left(ledger), summary["used_gpu_hours"], summary["used_usd"]) == (72, 8, 16)


def test_what_does_not_fit_is_refused_with_the_numbers(ledger: Ledger) -> None:
    a100(ledger, "one", 50)
    ledger.commit("one")
    ledger.settle("one", 30)
    a100(ledger, "two", 40)
    with pytest.raises(BudgetRefused) as refusal:
        a100(ledger, "three", 6, gpus=2)
    for number in ("12 GPU-hours", "30 used", "40 reserved", "of 80 (§D.2)", "10 left"):
        assert number in str(refusal.value)
    assert refusal.value.exit_code == 3
    assert [one.key for one in ledger.reservations()] == ["one", "two"]
    assert a100(ledger, "three", 100, phase=2).state == "reserved", "the caps are per phase"


def test_the_cap_itself_still_fits(ledger: Ledger) -> None:
    for part in range(8):
        a100(ledger, f"run-{part}", 10)
    with pytest.raises(BudgetRefused):
        a100(ledger, "more", 0.01)


def test_each_step_twice_is_the_step_once(ledger: Ledger, clock: Clock) -> None:
    first = a100(ledger, "run", 10)
    clock.pass_hours(0.1)
    assert a100(ledger, "run", 10) == first
    assert ledger.commit("run") == ledger.commit("run")
    clock.pass_hours(1)
    once = ledger.settle("run")
    clock.pass_hours(1)
    assert ledger.settle("run") == once
    with pytest.raises(LedgerError, match="reserved with other max_hours"):
        a100(ledger, "run", 11)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (("settle",), "needs it committed"),
        (("commit", "release"), "needs it reserved"),
        (("release", "commit"), "is released"),
    ],
)
def test_steps_out_of_order_are_refused(ledger: Ledger, steps: tuple[str, ...], said: str) -> None:
    a100(ledger, "run", 1)
    for step in steps[:-1]:
        getattr(ledger, step)("run")
    with pytest.raises(LedgerError, match=said):
        getattr(ledger, steps[-1])("run")
    with pytest.raises(LedgerError, match="never reserved"):
        ledger.commit("other")


@pytest.mark.parametrize(
    ("phase", "gpus", "hours"), [(4, 1, 1), (1, -1, 1), (1, 1, 0), (1, 1, float("nan")), (1, 1, float("inf"))]
)
def test_nonsense_is_no_reservation(ledger: Ledger, phase: int, gpus: int, hours: float) -> None:
    with pytest.raises(LedgerError, match="cannot be reserved"):
        a100(ledger, "run", hours, phase, gpus)


def test_a_released_reservation_is_free_again(ledger: Ledger) -> None:
    a100(ledger, "run", 80)
    ledger.release("run")
    assert left(ledger) == 80
    assert a100(ledger, "next", 80).state == "reserved"


def test_a_silent_run_expires_and_pays_up_to_its_last_heartbeat(ledger: Ledger, clock: Clock) -> None:
    a100(ledger, "never-started", 30)
    a100(ledger, "died", 50)
    ledger.commit("died")
    for _ in range(12):
        clock.pass_hours(0.25)
        ledger.heartbeat("died")
    clock.pass_hours(0.3)
    assert a100(ledger, "next", 70).state == "reserved", "the dead make room inside the reservation that needs it"
    died, never = (next(one for one in ledger.reservations() if one.key == key) for key in ("died", "never-started"))
    assert (died.state, died.gpu_hours) == ("expired", 3.0)
    assert (never.state, never.gpu_hours) == ("expired", 0.0)
    with pytest.raises(LedgerError, match="checkpoint and stop"):
        ledger.heartbeat("died")
    assert ledger.settle("died", 3.2).gpu_hours == 3.2, "who was given up and yet ended is settled by what it used"


def test_a_run_that_is_heard_of_is_left_alone(ledger: Ledger, clock: Clock) -> None:
    a100(ledger, "alive", 10)
    ledger.commit("alive")
    for _ in range(9):
        clock.pass_hours(0.2)
        ledger.heartbeat("alive")
    assert ledger.expire() == []


def test_the_heartbeat_says_when_the_reservation_is_used_up(ledger: Ledger, clock: Clock) -> None:
    a100(ledger, "run", 1)
    ledger.commit("run")
    clock.pass_hours(0.6)
    assert ledger.heartbeat("run") == pytest.approx(0.4)
    clock.pass_hours(0.6)
    assert ledger.heartbeat("run") == 0


def test_an_overrun_is_charged_and_noted(ledger: Ledger, store: Store) -> None:
    a100(ledger, "run", 1)
    ledger.commit("run")
    assert ledger.settle("run", 1.5).gpu_hours == 1.5
    assert [event["kind"] for event in DecisionLog(store).events()] == ["budget_overrun"]


def test_passing_what_was_promised_warns_once(ledger: Ledger, store: Store) -> None:
    for phase, hours in ((1, 80), (2, 100), (3, 20)):
        a100(ledger, f"phase-{phase}", hours, phase)
    assert DecisionLog(store).events() == []
    a100(ledger, "beyond", 1, 3)
    a100(ledger, "further", 1, 3)
    events = DecisionLog(store).events()
    assert [(event["kind"], event["gpu_hours"], event["section"]) for event in events] == [
        ("budget_warning", 201, "3.1")
    ]
    assert ledger.summary()["warning"]["passed"]


def test_a_cpu_costs_no_gpu_hour_and_its_time_is_told(ledger: Ledger) -> None:
    a100(ledger, "all", 80)
    ledger.reserve("laptop", phase=1, gpus=0, max_hours=500, device="cpu")
    ledger.commit("laptop")
    settled = ledger.settle("laptop", 0.5)
    summary = ledger.summary()
    assert (settled.gpu_hours, summary["used_gpu_hours"], summary["used_usd"], summary["cpu_hours"]) == (0, 0, 0, 0.5)
    assert summary["devices"]["cpu"]["wall_hours"] == 0.5


def test_an_edited_row_is_found(ledger: Ledger, store: Store) -> None:
    a100(ledger, "run", 10)
    ledger.commit("run")
    ledger.settle("run", 8)
    log = DecisionLog(store)
    assert log.verify() is None
    for change in ("UPDATE ledger SET step = 'release'", "DELETE FROM ledger"):
        with pytest.raises(StoreError, match="append-only"), store.write() as connection:
            connection.exec_driver_sql(change)
    with store.write() as connection:
        on = " ON ledger" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER ledger_no_update{on}")
        connection.exec_driver_sql("UPDATE ledger SET document = replace(document, '8.0', '1.0') WHERE step = 'settle'")
    assert log.verify() == "ledger, row 3: its document was changed"


def test_a_clock_that_is_set_back_gives_no_hour_twice(ledger: Ledger, clock: Clock) -> None:
    a100(ledger, "silent", 10)
    ledger.commit("silent")
    a100(ledger, "alive", 10)
    ledger.commit("alive")
    for _ in range(4):
        clock.pass_hours(0.2)
        ledger.heartbeat("alive")
    assert [one.key for one in ledger.expire()] == ["silent"]
    clock.pass_hours(-48)
    assert ledger.heartbeat("alive") == pytest.approx(9.2)
    with pytest.raises(LedgerError, match="is expired"):
        ledger.heartbeat("silent")
    assert ledger.settle("alive").wall_hours == pytest.approx(0.8)
    a100(ledger, "next", 1)
    assert DecisionLog(ledger._store).verify() is None
    times = [one.reserved_at for one in ledger.reservations()]
    assert times == sorted(times)


def test_heartbeats_become_a_forecast(ledger: Ledger, clock: Clock) -> None:
    a100(ledger, "run", 2)
    ledger.commit("run")
    for step in range(0, 50, 10):
        ledger.heartbeat("run", step, 140)
        clock.pass_hours(0.1)
    assert ledger.forecast("run").hours == pytest.approx(1.0)
    entry = ledger.summary()["reservations"][0]
    assert entry["forecast"]["enough"] == "yes"
