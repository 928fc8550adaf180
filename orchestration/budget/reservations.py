"""What the rows of the ledger say: each reservation as its last step left it, and what waits for a person (design §8).

A reservation's key is WORK/ATTEMPT: the same work, cut short and dispatched again, is paid for by another reservation.
Work that stopped at the end of its reservation goes on only with hours that a person has approved since.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

State = Literal["reserved", "committed", "settled", "released", "expired"]
Ending = Literal["done", "failed", "stopped"]
STATES: dict[str, State] = {
    "reserve": "reserved",
    "commit": "committed",
    "settle": "settled",
    "release": "released",
    "expire": "expired",
}
OPEN = ("reserved", "committed")
APPROVE = "approve"
FORECAST = "forecast"
RESUME = "resume"
FUZZ = 1e-9  # hours are sums of floats: 80 reserved as 8 x 10 must fit a cap of 80
_ASKED = ("phase", "device", "gpus", "max_hours", "experiment", "person")
_APPROVED = ("work", "hours", "by", "why", "attempts")
_FORESEEN = ("reached", "steps", "hours", "low", "high")


@dataclass(frozen=True)
class Foreseen:
    """What was foreseen of a run while it went on: the wall-clock hours of the whole, with a 95% interval."""

    at: dt.datetime
    reached: int
    steps: int
    hours: float
    low: float
    high: float


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
    ended: Ending | None = None
    """How a settled run ended; None where its row does not say."""
    foreseen: tuple[Foreseen, ...] = ()
    silences: int = 0
    """How often it expired."""

    @property
    def work(self) -> str:
        """What is done, whichever attempt does it."""
        return self.key.rpartition("/")[0] or self.key

    @property
    def gpu_hours(self) -> float:
        """What counts against the cap: what was used, or all that is reserved while it is open."""
        return self.gpus * (self.max_hours if self.state in OPEN else self.wall_hours)

    @property
    def error(self) -> float | None:
        """The first forecast over the truth, minus 1; None until the run has come to its end."""
        if self.ended != "done" or not self.foreseen or not self.wall_hours:
            return None
        return self.foreseen[0].hours / self.wall_hours - 1

    def elapsed(self, now: dt.datetime) -> float:
        """Hours since it was dispatched."""
        return hours_between(self.committed_at, now)


@dataclass(frozen=True)
class Approval:
    """A person's word that work which stopped at its reservation may go on for so many hours more."""

    work: str
    hours: float
    by: str
    why: str
    at: dt.datetime
    attempts: int
    """How often the work had been dispatched by then."""


@dataclass
class Book:
    """All that the ledger holds, in the order it was written."""

    held: dict[str, Reservation] = field(default_factory=dict)
    approvals: list[Approval] = field(default_factory=list)

    def total(self, phase: int | None = None) -> float:
        """GPU-hours used and reserved, of one phase or of all."""
        return sum(one.gpu_hours for one in self.held.values() if phase in (None, one.phase))

    def attempts(self) -> dict[str, list[Reservation]]:
        """Every work with its reservations, in order."""
        found: dict[str, list[Reservation]] = defaultdict(list)
        for one in self.held.values():
            found[one.work].append(one)
        return found

    def waiting(self) -> dict[str, Reservation]:
        """Work that goes on only when a person has approved hours, with the attempt that stopped."""
        rests = {work: (tried, self._rest(work, tried)) for work, tried in self.attempts().items()}
        return {
            work: tried[-1]
            for work, (tried, rest) in rests.items()
            if tried[-1].ended != "done" and (rest <= FUZZ if rest is not None else tried[-1].ended == "stopped")
        }

    def granted(self) -> dict[str, float]:
        """Work that may go on because a person said so, with the hours that are left of those approved."""
        rests = {work: self._rest(work, tried) for work, tried in self.attempts().items()}
        return {work: rest for work, rest in rests.items() if rest is not None and rest > FUZZ}

    def _rest(self, work: str, tried: Sequence[Reservation]) -> float | None:
        """What is left of the last approval: nothing where a run that had it stopped again. None without one, or once
        it has served.
        """
        given = next((one for one in reversed(self.approvals) if one.work == work), None)
        since = tried[given.attempts :] if given else []
        if given is None or any(one.ended == "done" for one in since):
            return None
        return (
            0.0 if any(one.ended == "stopped" for one in since) else given.hours - sum(one.wall_hours for one in since)
        )


def read(rows: Iterable[Mapping[str, Any]]) -> Book:
    """The book that the ledger's documents add up to, in their order."""
    book = Book()
    for row in rows:
        key, step, at = row["key"], row["step"], dt.datetime.fromisoformat(row["at"])
        if step == "reserve":
            asked = {name: row[name] for name in _ASKED}
            book.held[key] = Reservation(key=key, state="reserved", reserved_at=at, **asked)
        elif step == APPROVE:
            book.approvals.append(Approval(at=at, **{name: row[name] for name in _APPROVED}))
        elif step.startswith(FORECAST):
            seen = Foreseen(at, **{name: row[name] for name in _FORESEEN})
            book.held[key] = replace(book.held[key], foreseen=(*book.held[key].foreseen, seen))
        elif step == "commit":
            book.held[key] = replace(book.held[key], state="committed", committed_at=at)
        elif step.startswith(RESUME):
            one = book.held[key]
            book.held[key] = replace(one, state="committed" if one.committed_at else "reserved", wall_hours=0.0)
        elif step.startswith("expire"):
            one = book.held[key]
            book.held[key] = replace(one, state="expired", wall_hours=row["wall_hours"], silences=one.silences + 1)
        else:
            used, ended = row.get("wall_hours", 0.0), row.get("ended")
            book.held[key] = replace(book.held[key], state=STATES[step], wall_hours=used, ended=ended)
    return book


def hours_between(start: dt.datetime | None, end: dt.datetime) -> float:
    """Hours from one time to another; 0 where there is no start, or it lies ahead."""
    return 0.0 if start is None else max(0.0, (end - start).total_seconds() / 3600)
