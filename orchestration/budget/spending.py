"""The budget around one dispatch: reserved before, committed at the start, settled at the end whatever the end is
(design §8).

A key is new for each attempt, so a retry is paid for by itself; a dispatcher that dies leaves a reservation that
expires, or that the next one takes over with the worker that still runs (ADR 18). A dispatcher gives signs of life for
as long as it lives, whether its worker has something to tell or not.
"""

import getpass
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration.budget.allowance import StoppedAtReservation, countdown
from orchestration.dispatch.attempts import number
from orchestration.dispatch.task import Detached
from orchestration.home import Home
from orchestration.jobs import EVALUATE, Job
from orchestration.progress import Progress
from orchestration.stages.training import ARMS

if TYPE_CHECKING:
    from orchestration.budget.ledger import Ledger
    from orchestration.budget.reservations import Ending, Reservation

BEAT_S = 10.0
HOUR_S = 3600.0


class Held:
    """The hours of one run while it goes on."""

    def __init__(self, ledger: "Ledger", one: "Reservation", run: str, log: logging.Logger) -> None:
        self.key, self.hours, self.gpus = one.key, one.max_hours, one.gpus
        self.lost = ""
        """Why the reservation is no longer this run's, if so."""
        self.began_at = one.committed_at
        """When its hours began to tick, by the ledger's clock; None while its worker waits for a machine."""
        self._ledger, self._run, self._log, self._used = ledger, run, log, None
        left = self.hours if one.committed_at is None else ledger.heartbeat(self.key)
        self._left = countdown(left * HOUR_S)
        self._reached = self._told = (0, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def began(self) -> None:
        """The worker has started: the hours tick from now. Said again it changes nothing."""
        if self.began_at is None:
            self.began_at = self._ledger.commit(self.key, run=self._run).committed_at
            self._left = countdown(self.hours * HOUR_S)

    def left(self) -> float:
        """Seconds until the run must have ended; all of them while it has not begun."""
        if self.lost:
            return 0.0
        return self._left() if self.began_at else self.hours * HOUR_S

    def progress(self, progress: Progress) -> None:
        """Take how far the worker has come; the next sign of life says so."""
        self._reached = position(progress) or self._reached

    def used(self, seconds: float) -> None:
        """What the worker took, where that is known better than by watching it: it ended while nobody did."""
        self._used = seconds / HOUR_S

    def silent(self) -> None:
        """No further sign of life."""
        self._over.set()
        self._thread.join()

    def end(self, ended: "Ending") -> None:
        """Settle what was used; hours that never began are free again."""
        self.silent()
        if self.began_at is None and self._used is None:
            self._ledger.release(self.key)
            return
        self.began()
        self._ledger.settle(self.key, self.hours - self._left() / HOUR_S if self._used is None else self._used, ended)

    def _beat(self) -> None:
        from orchestration.budget.ledger import LedgerError
        from orchestration.record.store import StoreError

        while not self._over.wait(BEAT_S):
            reached, news = self._reached, self._reached != self._told
            try:
                self._ledger.heartbeat(self.key, *reached if news else ())
            except StoreError as error:
                self._log.warning(f"no sign of life could be recorded: {error}")
            except LedgerError as error:
                self.lost = str(error)
                return
            else:
                self._told = reached


@dataclass(frozen=True)
class Account:
    """Where the attempts of one piece of work are booked, and what one of them may take."""

    home: Home
    work: str
    """What is done, whichever attempt does it: the same data, code and recipe go by the same name."""
    phase: int
    experiment: str
    """Its line within the phase's hours."""
    device: str
    gpus: int
    max_hours: float


def account(job: Job) -> Account:
    """A typed job's, by its profile's budget."""
    home, profile = Home(job.home), job.profile
    stage = f"{job.stage}{job.phase}" if job.stage == EVALUATE else job.stage
    return Account(
        home=home,
        work=f"{job.dataset}/{stage}/{job.fingerprint[:12]}",
        phase=job.phase,
        experiment=str(job.out.relative_to(home.run(job.dataset, "."))),
        device=profile.device,
        gpus=profile.budget.gpus,
        max_hours=min(profile.budget.max_hours, profile.needs(job.stage).max_hours or profile.budget.max_hours),
    )


@contextmanager
def reserved(
    booked: Account, attempt: str, log: logging.Logger, *, gpus: int | None = None, waits: bool = False
) -> Iterator[Held]:
    """Hold an attempt's hours for the length of a `with`; one that was left open under this attempt is taken over.

    Args:
        gpus: how many, where it is not what the account says.
        waits: the worker may have to wait for a machine, and its hours tick only when `began` is called.

    Raises:
        BudgetRefused: the hours do not fit the phase's cap, or wait for a person; nothing was dispatched.
        StoppedAtReservation: the run used them up; what to do is said.
    """
    from orchestration.record import opened

    ledger, work = opened.ledger(booked.home), booked.work
    key = f"{work}/{attempt[:8]}"
    one = next((one for one in ledger.attempts(work) if one.key == key), None)
    if one is None:
        one = ledger.reserve(
            key,
            phase=booked.phase,
            gpus=booked.gpus if gpus is None else gpus,
            max_hours=ledger.granted(work) or booked.max_hours,
            device=booked.device,
            experiment=booked.experiment,
            person=person(),
        )
    elif one.state == "expired":
        one = ledger.resume(key)
    ended: Ending | None = "failed"
    held = Held(ledger, one, attempt, log)
    try:
        if not waits:
            held.began()
        yield held
        ended = "done"
    except Detached:
        ended = None  # the worker may go on: its hours stay held until somebody takes it up, or they expire
        raise
    except StoppedAtReservation as error:
        if held.lost:
            raise StoppedAtReservation(f"{error}: {held.lost}; run it again") from None
        ended = "stopped"
        raise StoppedAtReservation(
            f"{error}; `foresight budget approve {work} --hours H --by NAME --why REASON`, then run again"
        ) from None  # whoever shows an error shows the first one of a chain, and this one says what to do
    finally:
        held.end(ended) if ended else held.silent()


@dataclass(frozen=True)
class Paid:
    """The hours of one piece of work in the ledger, one reservation for each of its attempts."""

    account: Account
    log: logging.Logger
    booked = True

    def last(self) -> "Reservation | None":
        """The newest reservation of an attempt that has a number."""
        from orchestration.record import opened

        known = opened.ledger(self.account.home).attempts(self.account.work)
        return next((one for one in reversed(known) if number(one.key)), None)

    def hold(self, attempt: str, *, gpus: int | None = None, waits: bool = False) -> AbstractContextManager[Held]:
        """See `reserved`."""
        return reserved(self.account, attempt, self.log, gpus=gpus, waits=waits)


def person() -> str:
    """Who starts a run: $FORESIGHT_PERSON, else the user of this machine."""
    try:
        return os.environ.get("FORESIGHT_PERSON") or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"  # a container may run as a number without a name


def position(progress: Progress) -> tuple[int, int] | None:
    """Steps done and steps in all of a stage that trains, over its arms, one after the other; None of other work."""
    arm = progress.what.removeprefix(progress.stage).strip()
    if arm in ARMS:
        return ARMS.index(arm) * progress.total + progress.done, len(ARMS) * progress.total
    return (progress.done, progress.total) if progress.what == progress.stage else None
