"""Dispatchers in processes of their own: to race each other, and to be killed at a chosen moment."""

import contextlib
import os
import signal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from orchestration.budget.ledger import BudgetRefused, Ledger
from orchestration.plan.programme import load
from orchestration.record.store import Store

LAST = 60
"""GPU-hours of Phase 1's 80: two reservations of so many do not fit."""
USED = 0.25


def race(url: str, name: str, rounds: int, gate: Any, results: Any) -> None:
    """For each round, reserve as soon as all are there; who won gives the hours back for the next."""
    ledger = Ledger(Store(url), load())
    for number in range(rounds):
        gate.wait()
        key, won = f"{name}-{number}", False
        with contextlib.suppress(BudgetRefused):
            ledger.reserve(key, phase=1, gpus=1, max_hours=LAST, device="a100")
            won = True
            results.put((number, name))
        gate.wait()
        if won:
            ledger.release(key)


def live(ledger: Ledger, name: str) -> None:
    """Everything that happens to a run that stops, is approved, and is then given up; from wherever it stands."""
    first, second, found = f"clips/{name}/1", f"clips/{name}/2", ledger.summary()
    state = {one["key"]: one["state"] for one in found["reservations"]}
    approved = any(one["work"] == f"clips/{name}" for one in found["approvals"])
    if first not in state:
        ledger.reserve(first, phase=1, gpus=1, max_hours=1, device="a100")
    if state.get(first) in (None, "reserved"):
        ledger.commit(first)
    if state.get(first) != "settled":
        for step in range(1, 5):
            ledger.heartbeat(first, step, 100)
        ledger.settle(first, USED, "stopped")
    if not approved:
        ledger.approve(f"clips/{name}", 0.5, "A. Chair", "it still learns")
    if second not in state:
        ledger.reserve(second, phase=1, gpus=1, max_hours=0.5, device="a100")
    if state.get(second) != "released":
        ledger.release(second)


def live_until(url: str, name: str, moment: int) -> None:
    """Die at a moment: before a transaction, before a row is written, or when all is written and not yet kept."""
    ledger, passed = Ledger(Store(url), load()), -1

    def count(connection: sa.Connection) -> None:
        nonlocal passed
        passed += connection.get_execution_options().get("foresight_writes", False)
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(connection: sa.Connection, _cursor: Any, text: str, *_: Any) -> None:
        if text.startswith("INSERT"):
            count(connection)

    event.listen(sa.Engine, "begin", count)
    event.listen(sa.Engine, "before_cursor_execute", statement)
    event.listen(sa.Engine, "commit", count)
    live(ledger, name)
