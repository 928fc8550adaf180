"""The time of work that is in no phase's budget: limited, where the profile limits it, and recorded by nobody."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from orchestration.budget.allowance import countdown
from orchestration.progress import Progress

HOUR_S = 3600.0


class Free:
    """The time of one attempt, from when it began."""

    key, began_at = "", None

    def __init__(self, seconds: float) -> None:
        self._seconds, self._left = seconds, None

    def began(self) -> None:
        """Its time runs from now. Said again it changes nothing."""
        self._left = self._left or countdown(self._seconds)

    def left(self) -> float:
        """Seconds until it must have ended."""
        return self._left() if self._left else self._seconds

    def used(self, seconds: float) -> None:
        """Nobody is charged."""

    def progress(self, progress: Progress) -> None:
        """Nobody forecasts it."""


class Unpaid:
    """The time of the attempts of one piece of work."""

    booked = False

    def __init__(self, max_hours: float | None) -> None:
        self._seconds = math.inf if max_hours is None else max_hours * HOUR_S

    def last(self) -> None:
        """No attempt is in any book; the cluster knows them."""

    @contextmanager
    def hold(self, attempt: str, *, gpus: int | None = None, waits: bool = False) -> Iterator[Free]:
        """The time of one attempt; a worker that is taken up again has it anew, and its own limit still stands."""
        held = Free(self._seconds)
        if not waits:
            held.began()
        yield held
