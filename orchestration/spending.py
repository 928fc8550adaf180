"""The budget around one dispatch: reserved before, committed at the start, settled at the end whatever the end is
(design §8).

A key is new for each attempt, so a retry is paid for by itself; a dispatcher that dies leaves a reservation that
expires.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestration.jobs import Job
from orchestration.programme import load as programme
from orchestration.progress import Progress

BEAT_S = 30.0


@contextmanager
def reserved(job: Job, attempt: str) -> Iterator[Callable[[Progress], None]]:
    """Hold the job's hours for the length of a `with`; what it yields is called with each progress, as a sign of life.

    Raises:
        BudgetRefused: the hours do not fit the phase's cap; nothing was dispatched.
    """
    from orchestration.home import Home
    from orchestration.ledger import Ledger
    from orchestration.store import Store

    ledger, budget = Ledger(Store(Home(job.home).database), programme()), job.profile.budget
    key = (
        f"{job.dataset}/{job.stage}{job.phase if job.stage == 'evaluate' else ''}/{job.fingerprint[:12]}/{attempt[:8]}"
    )
    ledger.reserve(
        key,
        phase=job.phase,
        gpus=budget.gpus,
        max_hours=budget.max_hours,
        device=job.profile.device,
        experiment=job.out.name,
    )
    ledger.commit(key, run=attempt)
    started = last = time.monotonic()

    def beat(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > BEAT_S:
            last = time.monotonic()
            ledger.heartbeat(key, progress.done, progress.total)

    try:
        yield beat
    finally:
        ledger.settle(key, (time.monotonic() - started) / 3600)
