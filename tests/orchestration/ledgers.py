"""A ledger whose time is the test's."""

import datetime as dt

from orchestration.budget.ledger import Ledger
from orchestration.budget.reservations import Reservation

START = dt.datetime(2030, 1, 10, 12, tzinfo=dt.UTC)


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_hours(self, hours: float) -> None:
        self.now += dt.timedelta(hours=hours)


def a100(ledger: Ledger, key: str, hours: float, phase: int = 1, gpus: int = 1) -> Reservation:
    """Reserve one."""
    return ledger.reserve(key, phase=phase, gpus=gpus, max_hours=hours, device="a100")
