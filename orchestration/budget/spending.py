"""The budget around one dispatch: reserved before, committed at the start, settled at the end whatever the end is
(design §8).

A key is new for each attempt, so a retry is paid for by itself; a dispatcher that dies leaves a reservation that
expires. A dispatcher gives signs of life for as long as it lives, whether its worker has something to tell or not.
"""

import getpass
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestration.budget.allowance import StoppedAtReservation, countdown
from orchestration.home import Home
from orchestration.jobs import EVALUATE, Job
from orchestration.progress import Progress
from orchestration.stages.training import ARMS

if TYPE_CHECKING:
    from orchestration.budget.ledger import Ledger
    from orchestration.budget.reservations import Ending

BEAT_S = 10.0
HOUR_S = 3600.0


class Held:
    """The hours of one run while it goes on."""

    def __init__(self, ledger: "Ledger", key: str, hours: float, log: logging.Logger) -> None:
        self.key, self.hours = key, hours
        self.lost = ""
        """Why the reservation is no longer this run's, if so."""
        self._ledger, self._log, self._left = ledger, log, countdown(hours * HOUR_S)
        self._reached = self._told = (0, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def left(self) -> float:
        """Seconds until the run must have ended."""
        return 0.0 if self.lost else self._left()

    def progress(self, progress: Progress) -> None:
        """Take how far the worker has come; the next sign of life says so."""
        self._reached = position(progress) or self._reached

    def end(self) -> float:
        """No further sign of life; the wall-clock hours that were used."""
        self._over.set()
        self._thread.join()
        return self.hours - self._left() / HOUR_S

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


@contextmanager
def reserved(job: Job, attempt: str, log: logging.Logger) -> Iterator[Held]:
    """Hold the job's hours for the length of a `with`.

    Raises:
        BudgetRefused: the hours do not fit the phase's cap, or wait for a person; nothing was dispatched.
        StoppedAtReservation: the run used them up; what to do is said.
    """
    from orchestration.record import opened

    home, budget = Home(job.home), job.profile.budget
    ledger, work = opened.ledger(home), work_of(job)
    key, hours = f"{work}/{attempt[:8]}", ledger.granted(work) or budget.max_hours
    ledger.reserve(
        key,
        phase=job.phase,
        gpus=budget.gpus,
        max_hours=hours,
        device=job.profile.device,
        experiment=str(job.out.relative_to(home.run(job.dataset, "."))),
        person=person(),
    )
    ledger.commit(key, run=attempt)
    ended: Ending = "failed"
    held = Held(ledger, key, hours, log)
    try:
        yield held
        ended = "done"
    except StoppedAtReservation as error:
        if held.lost:
            raise StoppedAtReservation(f"{error}: {held.lost}; run it again") from None
        ended = "stopped"
        raise StoppedAtReservation(
            f"{error}; `foresight budget approve {work} --hours H --by NAME --why REASON`, then run again"
        ) from None  # whoever shows an error shows the first one of a chain, and this one says what to do
    finally:
        ledger.settle(key, held.end(), ended)


def work_of(job: Job) -> str:
    """What the job does, whichever attempt does it: the same data, code and recipe go by the same name."""
    stage = f"{job.stage}{job.phase}" if job.stage == EVALUATE else job.stage
    return f"{job.dataset}/{stage}/{job.fingerprint[:12]}"


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
