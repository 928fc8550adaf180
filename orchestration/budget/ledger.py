"""The budget ledger: reserve -> commit -> settle | release | expire (design §8).

A run reserves GPUs x its longest runtime before it is dispatched; what does not fit its phase's cap is refused, with
the numbers. Each step is a row that is never edited, under an idempotency key: a step taken twice is taken once. To
read the sums and to write the reservation is one transaction: of two dispatchers that race for the last hours one
wins. A run without a GPU costs no GPU-hour: its wall-clock hours are recorded under its device and priced at nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from orchestration.budget import account, reservations
from orchestration.budget.forecast import Forecast, forecast
from orchestration.budget.reservations import (
    APPROVE,
    FORECAST,
    FUZZ,
    OPEN,
    RESUME,
    STATES,
    Approval,
    Book,
    Ending,
    Reservation,
    State,
    hours_between,
)
from orchestration.plan.programme import Programme
from orchestration.record import store
from orchestration.record.signature import lacking
from orchestration.record.store import Store

FORECASTS = 10
"""A forecast is recorded at most once in each tenth of a run."""


class BudgetRefused(RuntimeError):
    """A reservation that does not fit, or that waits for a person (exit 3)."""

    exit_code = 3


class LedgerError(ValueError):
    """A step that does not follow from what the ledger holds."""


class Ledger:
    """The ledger of one home. `clock` stands in for the time in tests."""

    def __init__(
        self, records: Store, programme: Programme, clock: Callable[[], dt.datetime | None] | None = None
    ) -> None:
        self._store = records
        self._clock = clock or (lambda: None)
        self._hours = programme.budget.gpu_hours
        self.caps = {int(phase): cap for phase, cap in self._hours.phases.items()}
        self._silence = dt.timedelta(minutes=programme.budget.heartbeat.expires_after_minutes)

    def reserve(
        self, key: str, *, phase: int, gpus: int, max_hours: float, device: str, experiment: str = "", person: str = ""
    ) -> Reservation:
        """Set hours aside for a run, or refuse. The same key again gives back the same reservation.

        Raises:
            BudgetRefused: it would pass the phase's cap, or the hours that were approved for this work.
            LedgerError: the key stands for another request, or the request makes no sense.
        """
        if phase not in self.caps or gpus < 0 or not 0 < max_hours < float("inf"):
            raise LedgerError(
                f"{key}: phase {phase}, {gpus} GPUs, {max_hours} h cannot be reserved; phases {sorted(self.caps)}"
            )
        asked = {
            "phase": phase,
            "device": device,
            "gpus": gpus,
            "max_hours": float(max_hours),
            "experiment": experiment,
            "person": person,
        }
        with self._store.write() as connection:
            book = _book(connection)
            if key in book.held:
                return _same(book.held[key], asked)
            at = store.now(connection, self._clock())
            self._expire(connection, book, at)
            wanted = Reservation(key=key, state="reserved", reserved_at=at, **asked)
            self._approved(connection, book, wanted)
            self._fits(book, wanted)
            self._append(connection, at, key, "reserve", **asked)
            self._warn(connection, at, book.total() + wanted.gpu_hours)
            return wanted

    def resume(self, key: str) -> Reservation:
        """Take up a reservation that expired while its worker went on, or waited for a machine: it holds its hours
        again, if they still fit.

        Raises:
            BudgetRefused: they do not.
        """
        with self._store.write() as connection:
            book = _book(connection)
            one = _find(book, key)
            if one.state in OPEN:
                return one
            if one.state != "expired":
                raise LedgerError(f"{key} is {one.state}: only what expired can be taken up again")
            del book.held[key]
            self._fits(book, replace(one, state="reserved"))
            at = store.now(connection, self._clock())
            self._append(connection, at, key, f"{RESUME} {one.silences}")
            connection.execute(store.heartbeats.insert().values(key=key, at=store.stamp(at)))
            return _find(_book(connection, key), key)

    def attempts(self, work: str) -> list[Reservation]:
        """The reservations of one work, in the order they were made."""
        with self._store.read() as connection:
            return _book(connection).attempts().get(work, [])

    def granted(self, work: str) -> float | None:
        """The hours that a person has approved for work that stopped, as far as they are not used."""
        with self._store.read() as connection:
            return _book(connection).granted().get(work)

    def approve(self, work: str, hours: float, by: str, why: str) -> Approval:
        """Let work that stopped at its reservation go on for `hours` more. `work` may be its beginning, if no other
        work that waits begins so.

        Raises:
            LedgerError: nothing or more than one waits under this name, nobody signed, or the hours make no sense.
        """
        by, why = by.strip(), why.strip()
        if lacks := lacking(by, why):
            raise LedgerError(f"an approval needs {lacks}: say who approves, and why")
        if not 0 < hours < float("inf"):
            raise LedgerError(f"{hours} h cannot be approved: give the hours that the run may go on for")
        with self._store.write() as connection:
            book = _book(connection)
            waiting = book.waiting()
            meant = [one for one in waiting if one == work or one.startswith(f"{work}/")]
            if len(meant) != 1:
                asking = ", ".join(waiting) or "nothing"
                raise LedgerError(f"{work}: {len(meant)} runs of that name ask for hours; waiting: {asking}")
            said = {"work": meant[0], "hours": float(hours), "by": by, "why": why}
            said["attempts"] = len(book.attempts()[meant[0]])
            at = store.now(connection, self._clock())
            self._append(connection, at, f"{meant[0]}/approval-{said['attempts']}", APPROVE, **said)
        return Approval(at=at, **said)

    def commit(self, key: str, run: str = "") -> Reservation:
        """The run has been dispatched: its hours tick from now."""
        return self._step(key, "commit", ("reserved",), run=run)

    def heartbeat(self, key: str, step: int | None = None, steps: int | None = None) -> float:
        """The run is alive, and has just reached `step` of `steps`. Gives back its wall-clock hours left.

        Raises:
            LedgerError: the reservation is over; the run must stop.
        """
        with self._store.write() as connection:
            one = _find(_book(connection, key), key)
            if one.state not in OPEN:
                raise LedgerError(f"{key} is {one.state}: this run holds no hours; checkpoint and stop")
            at = store.now(connection, self._clock())
            connection.execute(store.heartbeats.insert().values(key=key, at=store.stamp(at), step=step, steps=steps))
            if step is not None and steps:
                self._foresee(connection, at, one, step, steps)
        return max(0.0, one.max_hours - one.elapsed(at))

    def settle(self, key: str, wall_hours: float | None = None, ended: Ending = "done") -> Reservation:
        """The run has ended: what it used, measured by its dispatcher, or from commit to now. The rest is free again.

        A run that was given up as silent and yet ended is settled too: what it used is the truth.
        """
        return self._step(key, "settle", ("committed", "expired"), wall_hours=wall_hours, ended=ended)

    def release(self, key: str) -> Reservation:
        """The run was never dispatched: its hours are free again."""
        return self._step(key, "release", ("reserved",))

    def expire(self) -> list[Reservation]:
        """Close what has gone silent, at its last sign of life; those that were closed."""
        with self._store.write() as connection:
            book = _book(connection)
            keys = self._expire(connection, book, store.now(connection, self._clock()))
            return [book.held[key] for key in keys]

    def reservations(self) -> list[Reservation]:
        """All of them, in the order they were made."""
        with self._store.read() as connection:
            return list(_book(connection).held.values())

    def forecast(self, key: str) -> Forecast:
        """How long a run will still take, from its heartbeats."""
        with self._store.read() as connection:
            return _ahead(connection, key)

    def summary(self) -> dict[str, Any]:
        """The budget as one document, `foresight.budget/1`: per phase, experiment and person, and each reservation."""
        with self._store.read() as connection:
            book, now = _book(connection), store.now(connection, self._clock())
            asked = [*book.waiting().values(), *(one for one in book.held.values() if one.state == "committed")]
            ahead = {one.key: _ahead(connection, one.key) for one in asked}
        return account.document(book, self._hours, ahead, now)

    def _approved(self, connection: sa.Connection, book: Book, wanted: Reservation) -> None:
        """Refuse work that stopped, until a person has approved more."""
        work, granted = wanted.work, book.granted().get(wanted.work)
        stopped = book.waiting().get(work)
        if stopped is not None:
            ahead = _ahead(connection, stopped.key)
            more = "" if ahead.hours is None else f" and needs about {ahead.hours:.3g} h more"
            raise BudgetRefused(
                f"{work} stopped at the end of its {stopped.max_hours:.3g} h{more};"
                f" `foresight budget approve {work} --hours H --by NAME --why REASON`, then run again: it goes on"
            )
        if granted is not None and wanted.max_hours > granted + FUZZ:
            raise BudgetRefused(
                f"{work}: {granted:g} h were approved, {wanted.max_hours:g} h are asked for; ask for less"
            )

    def _fits(self, book: Book, wanted: Reservation) -> None:
        """Refuse what passes the phase's cap, with the numbers."""
        mine = [one for one in book.held.values() if one.phase == wanted.phase]
        cap, taken = self.caps[wanted.phase], sum(one.gpu_hours for one in mine)
        if wanted.gpu_hours and taken + wanted.gpu_hours > cap + FUZZ:
            used = sum(one.gpu_hours for one in mine if one.state not in OPEN)
            raise BudgetRefused(
                f"{wanted.key}: {wanted.gpus} GPU x {wanted.max_hours:g} h = {wanted.gpu_hours:g} GPU-hours do not fit"
                f" phase {wanted.phase}: {used:g} used and {taken - used:g} reserved of {cap:g}"
                f" (§{self._hours.section}), {cap - taken:g} left;"
                " shorten the run or wait for a reservation to end"
            )

    def _foresee(self, connection: sa.Connection, at: dt.datetime, one: Reservation, step: int, steps: int) -> None:
        """Record what is foreseen now, to be held against the truth: once in a tenth, never of a run at its end."""
        tenth = FORECASTS * step // steps
        if tenth >= FORECASTS or any(FORECASTS * seen.reached // seen.steps == tenth for seen in one.foreseen):
            return
        ahead, elapsed = _ahead(connection, one.key), one.elapsed(at)
        if ahead.hours is None or ahead.low is None or ahead.high is None:
            return
        whole = {"hours": elapsed + ahead.hours, "low": elapsed + ahead.low, "high": elapsed + ahead.high}
        self._append(connection, at, one.key, f"{FORECAST} {tenth}", reached=step, steps=steps, **whole)

    def _step(self, key: str, step: str, after: tuple[State, ...], **what: Any) -> Reservation:
        """One step of one reservation; taken again it changes nothing."""
        with self._store.write() as connection:
            one = _find(_book(connection, key), key)
            if one.state == STATES[step]:
                return one
            if one.state not in after:
                raise LedgerError(f"{key} is {one.state}: {step} needs it {' or '.join(after)}")
            at = store.now(connection, self._clock())
            if step == "settle":
                hours = what["wall_hours"]
                what["wall_hours"] = one.elapsed(at) if hours is None else float(hours)
                if not 0 <= what["wall_hours"] < float("inf"):
                    raise LedgerError(f"{key}: {hours} hours cannot have been used")
            self._append(connection, at, key, step, **what)
            if step != "settle":
                return _find(_book(connection, key), key)
            book = _book(connection)
            self._overrun(connection, at, book.held[key])
            self._warn(connection, at, book.total())
            return book.held[key]

    def _expire(self, connection: sa.Connection, book: Book, at: dt.datetime) -> list[str]:
        """Close what has gone silent, in `book` too; a run that had started is charged up to its last heartbeat."""
        still = [one for one in book.held.values() if one.state in OPEN]
        beats = sa.select(store.heartbeats.c.key, sa.func.max(store.heartbeats.c.at)).group_by(store.heartbeats.c.key)
        found = connection.execute(beats.where(store.heartbeats.c.key.in_([one.key for one in still]))).all()
        heard = {key: dt.datetime.fromisoformat(last) for key, last in found}
        closed = []
        for one in still:
            started = one.committed_at or one.reserved_at
            alive = max(started, heard.get(one.key, started))
            if at - alive > self._silence:
                hours = hours_between(one.committed_at, alive)
                step = "expire" if not one.silences else f"expire {one.silences + 1}"
                self._append(connection, at, one.key, step, wall_hours=hours)
                book.held[one.key] = replace(one, state="expired", wall_hours=hours, silences=one.silences + 1)
                closed.append(one.key)
        return closed

    def _append(self, connection: sa.Connection, at: dt.datetime, key: str, step: str, **what: Any) -> None:
        store.append(connection, store.ledger, at, {"key": key, "step": step, **what}, key=key, step=step)

    def _overrun(self, connection: sa.Connection, at: dt.datetime, one: Reservation) -> None:
        if one.wall_hours > one.max_hours + FUZZ:
            noted = {
                "kind": "budget_overrun",
                "key": one.key,
                "reserved_hours": one.max_hours,
                "wall_hours": one.wall_hours,
            }
            store.append(connection, store.events, at, noted, kind="budget_overrun")

    def _warn(self, connection: sa.Connection, at: dt.datetime, total: float) -> None:
        """Say once that §3.1's hours are passed."""
        warn = self._hours.warn
        known = sa.select(store.events.c.seq).where(store.events.c.kind == "budget_warning").limit(1)
        if total > warn.at + FUZZ and connection.execute(known).scalar() is None:
            noted = {"kind": "budget_warning", "gpu_hours": total, "promised": warn.at, "section": warn.section}
            store.append(connection, store.events, at, noted, kind="budget_warning")


def _book(connection: sa.Connection, key: str | None = None) -> Book:
    """What the rows say, all of them or those of one reservation."""
    rows = sa.select(store.ledger.c.document).order_by(store.ledger.c.seq)
    if key is not None:
        rows = rows.where(store.ledger.c.key == key)
    return reservations.read(json.loads(document) for document in connection.execute(rows).scalars())


def _ahead(connection: sa.Connection, key: str) -> Forecast:
    """The hours to the last step, from the times at which steps were reached."""
    reached = sa.select(store.heartbeats).where(store.heartbeats.c.key == key, store.heartbeats.c.step.is_not(None))
    beats = connection.execute(reached.order_by(store.heartbeats.c.seq)).all()
    if not beats or beats[-1].steps is None:
        return Forecast(None, None, None, 0)
    times = [dt.datetime.fromisoformat(beat.at) for beat in beats]
    samples = [
        (beats[i + 1].step - beats[i].step, (times[i + 1] - times[i]).total_seconds()) for i in range(len(beats) - 1)
    ]
    return forecast(beats[-1].steps - beats[-1].step, samples)


def _find(book: Book, key: str) -> Reservation:
    if key not in book.held:
        raise LedgerError(f"{key} was never reserved: reserve it before it is dispatched")
    return book.held[key]


def _same(one: Reservation, asked: dict[str, Any]) -> Reservation:
    # Who asks is no part of it: two that ask for the same work at once share one reservation, in the name of the first.
    changed = [name for name, value in asked.items() if name != "person" and getattr(one, name) != value]
    if changed:
        raise LedgerError(f"{one.key} is reserved with other {', '.join(changed)}: another run needs another key")
    return one
