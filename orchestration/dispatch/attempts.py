"""Which attempt of a piece of work is to be made or met: plain functions over what ledger and cluster say (ADR 18).

An attempt is WORK and a number. Its reservation and its job are both named by it, so whoever asks for the same work
finds both, and nobody has to remember an id.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from orchestration.budget.reservations import Reservation

JobState = Literal["waiting", "running", "succeeded", "failed", "stopped"]
ALIVE: tuple[JobState, ...] = ("waiting", "running")
_NAME = re.compile(r"a([1-9][0-9]*)")


@dataclass(frozen=True)
class Job:
    """One job of a cluster, as the cluster tells of it."""

    id: str
    work: str
    attempt: int
    key: str
    """Its reservation's; empty where the work is in no budget."""
    state: JobState
    submitted_at: float
    """Seconds since the epoch, by the cluster's clock; so too when it ended."""
    ended_at: float | None = None
    exit_code: int | None = None
    message: str = ""
    ran: bool = True
    """Whether a machine was found for it."""

    @property
    def alive(self) -> bool:
        """Whether it may still do something."""
        return self.state in ALIVE


def name(attempt: int) -> str:
    """An attempt's name, as its reservation bears it."""
    return f"a{attempt}"


def number(key: str) -> int:
    """The number of the attempt that a reservation pays for; 0 of a worker that lived and died with its run."""
    found = _NAME.fullmatch(key.rpartition("/")[2])
    return int(found[1]) if found else 0


def submission_id(work: str, place: str, attempt: int) -> str:
    """The id of a job: of the work, of where its results lie, and of the attempt; nothing of it is chance.

    Two programmes on one cluster do the same work under two ids, because each looks for its results at its own place.
    """
    there = hashlib.sha256(place.encode()).hexdigest()[:8]
    return f"{work.replace('/', '-')}-{there}-{name(attempt)}"


def choose(paid: Reservation | None, job: Job | None, *, in_budget: bool) -> int:
    """The attempt to make or to meet, from the last one that the ledger knows and the last one that the cluster knows.

    The same attempt goes on while its job lives or nobody has settled it; else it is the next one's turn.
    """
    last = max(number(paid.key) if paid else 0, job.attempt if job else 0)
    if last == 0:
        return 1
    met = job if job and job.attempt == last else None
    if not in_budget:
        return last if met and met.alive else last + 1
    state = paid.state if paid and number(paid.key) == last else None
    goes_on = {
        "reserved": True,  # submitted or not: under this id at most once
        "committed": met is not None,  # a cluster that has forgotten a job that ran has lost it
        "expired": met is not None and met.alive,
    }
    return last if state and goes_on.get(state, False) else last + 1
