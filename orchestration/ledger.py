"""The budget ledger: reserve -> commit -> settle | release | expire (design §8).

A run reserves GPUs x its longest runtime before it is dispatched; what does not fit its phase's cap is refused, with
the numbers. Each step is a row that is never edited, under an idempotency key: a step taken twice is taken once. To
read the sums and to write the reservation is one transaction: of two dispatchers that race for the last hours one
wins. A run without a GPU costs no GPU-hour: its wall-clock hours are recorded under its device and priced at nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from orchestration import store
from orchestration.forecast import Forecast, forecast
from orchestration.programme import Programme
from orchestration.store import Store

State = Literal["reserved", "committed", "settled", "released", "expired"]
STATES: dict[str, State] = {
    "reserve": "reserved",
    "commit": "committed",
    "settle": "settled",
    "release": "released",
    "expire": "expired",
}
OPEN = ("reserved", "committed")
FUZZ = 1e-9  # hours are sums of floats: 80 reserved as 8 x 10 must fit a cap of 80


class BudgetRefused(RuntimeError):
    """A reservation that does not fit (exit 3)."""

    exit_code = 3


class LedgerError(ValueError):
    """A step that does not follow from what the ledger holds."""


@dataclass(frozen=True)
class Reservation:
    """One run's place in the budget, as its last step left it. Hours are wall-clock, GPU-hours `gpus` times that."""

    key: str
    phase: int
    device: str
    gpus: int
    max_hours: float
    experiment: str
    person: str
    state: State
    reserved_at: dt.datetime
    committed_at: dt.datetime | None = None
    wall_hours: float = 0.0

    @property
    def gpu_hours(self) -> float:
        """What counts against the cap: what was used, or all that is reserved while it is open."""
        return self.gpus * (self.max_hours if self.state in OPEN else self.wall_hours)


class Ledger:
    """The ledger of one home. `clock` stands in for the time in tests."""

    def __init__(
        self, records: Store, programme: Programme, clock: Callable[[], dt.datetime | None] | None = None
    ) -> None:
        self._store = records
        self._clock = clock or (lambda: None)
        hours = programme.budget.gpu_hours
        self.caps = {int(phase): cap for phase, cap in hours.phases.items()}
        self.section, self.warn, self.price = hours.section, hours.warn, hours.price.usd_per_hour
        self._silence = dt.timedelta(minutes=programme.budget.heartbeat.expires_after_minutes)

    def reserve(
        self, key: str, *, phase: int, gpus: int, max_hours: float, device: str, experiment: str = "", person: str = ""
    ) -> Reservation:
        """Set hours aside for a run, or refuse. The same key again gives back the same reservation.

        Raises:
            BudgetRefused: it would pass the phase's cap.
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
            held = _held(connection)
            if key in held:
                return _same(held[key], asked)
            at = store.now(connection, self._clock())
            self._expire(connection, held, at)
            mine = [one for one in held.values() if one.phase == phase]
            hours, taken = gpus * max_hours, sum(one.gpu_hours for one in mine)
            if hours and taken + hours > self.caps[phase] + FUZZ:
                used, cap = sum(one.gpu_hours for one in mine if one.state not in OPEN), self.caps[phase]
                raise BudgetRefused(
                    f"{key}: {gpus} GPU x {max_hours:g} h = {hours:g} GPU-hours do not fit phase {phase}: {used:g} used"
                    f" and {taken - used:g} reserved of {cap:g} (§{self.section}), {cap - taken:g} left;"
                    " shorten the run or wait for a reservation to end"
                )
            self._append(connection, at, key, "reserve", **asked)
            self._warn(connection, at, sum(one.gpu_hours for one in held.values()) + hours)
            return _held(connection)[key]

    def commit(self, key: str, run: str = "") -> Reservation:
        """The run has been dispatched: its hours tick from now."""
        return self._step(key, "commit", ("reserved",), run=run)

    def heartbeat(self, key: str, step: int | None = None, steps: int | None = None) -> float:
        """The run is alive, at `step` of `steps`. Gives back its wall-clock hours left: at 0 it checkpoints and stops.

        Raises:
            LedgerError: the reservation is over; the run must stop.
        """
        with self._store.write() as connection:
            one = _find(_held(connection), key)
            if one.state not in OPEN:
                raise LedgerError(f"{key} is {one.state}: this run holds no hours; checkpoint and stop")
            at = store.now(connection, self._clock())
            connection.execute(store.heartbeats.insert().values(key=key, at=store.stamp(at), step=step, steps=steps))
        return max(0.0, one.max_hours - _hours(one.committed_at, at))

    def settle(self, key: str, wall_hours: float | None = None) -> Reservation:
        """The run has ended: what it used, measured by the worker, or from commit to now. The rest is free again.

        A run that was given up as silent and yet ended is settled too: what it used is the truth.
        """
        return self._step(key, "settle", ("committed", "expired"), wall_hours=wall_hours)

    def release(self, key: str) -> Reservation:
        """The run was never dispatched: its hours are free again."""
        return self._step(key, "release", ("reserved",))

    def expire(self) -> list[Reservation]:
        """Close what has gone silent, at its last sign of life; those that were closed."""
        with self._store.write() as connection:
            held = _held(connection)
            keys = self._expire(connection, held, store.now(connection, self._clock()))
            return [held[key] for key in keys]

    def reservations(self) -> list[Reservation]:
        """All of them, in the order they were made."""
        with self._store.read() as connection:
            return list(_held(connection).values())

    def forecast(self, key: str) -> Forecast:
        """How long a run will still take, from its heartbeats."""
        query = sa.select(store.heartbeats).where(store.heartbeats.c.key == key, store.heartbeats.c.step.is_not(None))
        with self._store.read() as connection:
            beats = connection.execute(query.order_by(store.heartbeats.c.seq)).all()
        if not beats or beats[-1].steps is None:
            return Forecast(None, None, None, 0)
        times = [dt.datetime.fromisoformat(beat.at) for beat in beats]
        samples = [
            (beats[i + 1].step - beats[i].step, (times[i + 1] - times[i]).total_seconds())
            for i in range(len(beats) - 1)
        ]
        return forecast(beats[-1].steps - beats[-1].step, samples)

    def summary(self) -> dict[str, Any]:
        """The budget as one document: per phase, in all, and each reservation."""
        held = self.reservations()
        phases = []
        for phase, cap in sorted(self.caps.items()):
            mine = [one for one in held if one.phase == phase]
            over, still = [one for one in mine if one.state not in OPEN], [one for one in mine if one.state in OPEN]
            used, reserved = sum(one.gpu_hours for one in over), sum(one.gpu_hours for one in still)
            cpu = sum(one.wall_hours for one in over if one.gpus == 0)
            phases.append(
                {
                    "phase": phase,
                    "cap_gpu_hours": cap,
                    "section": self.section,
                    "used_gpu_hours": used,
                    "reserved_gpu_hours": reserved,
                    "left_gpu_hours": cap - used - reserved,
                    "used_usd": used * self.price,
                    "cpu_hours": cpu,
                }
            )
        total = sum(one.gpu_hours for one in held)
        return {
            "schema": "foresight.budget/1",
            "phases": phases,
            "used_gpu_hours": sum(row["used_gpu_hours"] for row in phases),
            "reserved_gpu_hours": sum(row["reserved_gpu_hours"] for row in phases),
            "cpu_hours": sum(row["cpu_hours"] for row in phases),
            "used_usd": sum(row["used_usd"] for row in phases),
            "usd_per_gpu_hour": self.price,
            "warning": {
                "section": self.warn.section,
                "at_gpu_hours": self.warn.at,
                "passed": total > self.warn.at + FUZZ,
            },
            "devices": _by(held, lambda one: one.device),
            "experiments": _by(held, lambda one: one.experiment or f"phase{one.phase}"),
            "people": _by(held, lambda one: one.person or "unnamed"),
            "reservations": [self._entry(one) for one in held],
        }

    def _entry(self, one: Reservation) -> dict[str, Any]:
        times = {
            "reserved_at": store.stamp(one.reserved_at),
            "committed_at": store.stamp(one.committed_at) if one.committed_at else None,
        }
        entry: dict[str, Any] = {**one.__dict__, **times, "gpu_hours": one.gpu_hours, "usd": one.gpu_hours * self.price}
        if one.state == "committed":
            ahead = self.forecast(one.key)
            left = one.max_hours - _hours(one.committed_at, self._clock() or dt.datetime.now(dt.UTC))
            entry["forecast"] = {**ahead.__dict__, "enough": ahead.fits(left)}
        return entry

    def _step(self, key: str, step: str, after: tuple[State, ...], **what: Any) -> Reservation:
        """One step of one reservation; taken again it changes nothing."""
        with self._store.write() as connection:
            held = _held(connection)
            one = _find(held, key)
            if one.state == STATES[step]:
                return one
            if one.state not in after:
                raise LedgerError(f"{key} is {one.state}: {step} needs it {' or '.join(after)}")
            at = store.now(connection, self._clock())
            if step == "settle":
                hours = what["wall_hours"]
                what["wall_hours"] = _hours(one.committed_at, at) if hours is None else float(hours)
                if not 0 <= what["wall_hours"] < float("inf"):
                    raise LedgerError(f"{key}: {hours} hours cannot have been used")
            self._append(connection, at, key, step, **what)
            held = _held(connection)
            if step == "settle":
                self._overrun(connection, at, held[key])
                self._warn(connection, at, sum(other.gpu_hours for other in held.values()))
            return held[key]

    def _expire(self, connection: sa.Connection, held: dict[str, Reservation], at: dt.datetime) -> list[str]:
        """Close what has gone silent, in `held` too; a run that had started is charged up to its last heartbeat."""
        beats = sa.select(store.heartbeats.c.key, sa.func.max(store.heartbeats.c.at)).group_by(store.heartbeats.c.key)
        heard = {key: dt.datetime.fromisoformat(last) for key, last in connection.execute(beats).all()}
        closed = []
        for key, one in held.items():
            started = one.committed_at or one.reserved_at
            alive = max(started, heard.get(key, started))
            if one.state in OPEN and at - alive > self._silence:
                hours = _hours(one.committed_at, alive)
                self._append(connection, at, key, "expire", wall_hours=hours)
                held[key] = replace(one, state="expired", wall_hours=hours)
                closed.append(key)
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
        known = sa.select(store.events.c.seq).where(store.events.c.kind == "budget_warning").limit(1)
        if total > self.warn.at + FUZZ and connection.execute(known).scalar() is None:
            noted = {
                "kind": "budget_warning",
                "gpu_hours": total,
                "promised": self.warn.at,
                "section": self.warn.section,
            }
            store.append(connection, store.events, at, noted, kind="budget_warning")


def _held(connection: sa.Connection) -> dict[str, Reservation]:
    """Every reservation as its rows, in order, leave it."""
    held: dict[str, Reservation] = {}
    for document in connection.execute(sa.select(store.ledger.c.document).order_by(store.ledger.c.seq)).scalars():
        row = json.loads(document)
        key, step, at = row["key"], row["step"], dt.datetime.fromisoformat(row["at"])
        if step == "reserve":
            asked = {name: row[name] for name in ("phase", "device", "gpus", "max_hours", "experiment", "person")}
            held[key] = Reservation(key=key, state="reserved", reserved_at=at, **asked)
            continue
        changes: dict[str, Any] = {"state": STATES[step]}
        if step == "commit":
            changes["committed_at"] = at
        held[key] = replace(held[key], **changes, wall_hours=row.get("wall_hours", 0.0))
    return held


def _find(held: dict[str, Reservation], key: str) -> Reservation:
    if key not in held:
        raise LedgerError(f"{key} was never reserved: reserve it before it is dispatched")
    return held[key]


def _same(one: Reservation, asked: dict[str, Any]) -> Reservation:
    changed = [name for name, value in asked.items() if getattr(one, name) != value]
    if changed:
        raise LedgerError(f"{one.key} is reserved with other {', '.join(changed)}: another run needs another key")
    return one


def _hours(start: dt.datetime | None, end: dt.datetime) -> float:
    return 0.0 if start is None else max(0.0, (end - start).total_seconds() / 3600)


def _by(held: list[Reservation], name: Callable[[Reservation], str]) -> dict[str, dict[str, float]]:
    sums: dict[str, dict[str, float]] = defaultdict(lambda: {"gpu_hours": 0.0, "wall_hours": 0.0})
    for one in held:
        sums[name(one)]["gpu_hours"] += one.gpu_hours
        sums[name(one)]["wall_hours"] += one.wall_hours
    return dict(sums)
