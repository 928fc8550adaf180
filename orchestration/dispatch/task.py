"""What is sent to a worker, who pays for it, and how it can end (design §2, §8)."""

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestration.dispatch.needs import Needs
from orchestration.progress import Progress

if TYPE_CHECKING:
    from orchestration.budget.reservations import Reservation
    from orchestration.dispatch.bundle import Done


class DispatchError(RuntimeError):
    """A worker that failed, with the reason it gave."""


class WorkerRefused(DispatchError):
    """A worker that would not go on (exit 3), with the reason it gave."""

    exit_code = 3


class WorkerLost(DispatchError):
    """A worker that ended without giving a reason, as one whose node died: another may do better."""


class Detached(DispatchError):
    """Nobody can say how a worker does, though it may still work: the next run takes it up again."""


class Parcel(Protocol):
    """What a worker needs of this home, and what comes back from it."""

    def here(self, allowed_s: float) -> tuple[str, Path]:
        """The command that does it on this machine, and where it stands."""
        ...

    def send(self, attempt: str, allowed_s: float | None) -> str:
        """Put it where the worker finds it; the key that the worker is given."""
        ...

    def result(self) -> "Done | None":
        """The final message of whichever worker came to its end, its files taken into this home; None before."""
        ...


class Hours(Protocol):
    """The time of one attempt."""

    @property
    def key(self) -> str:
        """What it is booked under; empty where it is booked nowhere."""
        ...

    @property
    def began_at(self) -> dt.datetime | None:
        """When the worker was seen to start; None where that is not booked."""
        ...

    def began(self) -> None:
        """The worker has started: its time runs."""
        ...

    def left(self) -> float:
        """Seconds until it must have ended; infinite where nothing limits it."""
        ...

    def used(self, seconds: float) -> None:
        """What it took, where that is known better than by watching it."""
        ...

    def progress(self, progress: Progress) -> None:
        """How far it has come."""
        ...


class Purse(Protocol):
    """Who pays for the attempts of one piece of work."""

    @property
    def booked(self) -> bool:
        """Whether its attempts are in the ledger."""
        ...

    def last(self) -> "Reservation | None":
        """The newest attempt that was paid for."""
        ...

    def hold(self, attempt: str, *, gpus: int | None = None, waits: bool = False) -> AbstractContextManager[Hours]:
        """The hours of one attempt, for the length of a `with`."""
        ...


@dataclass(frozen=True)
class Task:
    """One stage of one dataset, to be done by one worker."""

    work: str
    """What is done, whichever attempt does it: DATASET/STAGE/FINGERPRINT."""
    stage: str
    needs: Needs
    parcel: Parcel
    purse: Purse
    gpus_of_workers: int = 0
    """GPUs that its workers ask for themselves; they are paid for with its own."""


Left = Callable[[], float]
"""Seconds until the worker must have ended."""
