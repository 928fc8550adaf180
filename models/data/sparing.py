"""How often a file that grows with the work is written again: what is spent on it stays a share of the work itself."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Sparing:
    """Something done again and again, dearer each time, that may take a twentieth of the time and no more.

    Done after every step, it would cost the square of the number of steps.
    """

    TIMES = 20

    def __init__(self) -> None:
        self._ended, self._took = time.monotonic(), 0.0

    def due(self) -> bool:
        """Whether since the last time so long has passed that it may be done again; at first it is."""
        return time.monotonic() - self._ended >= self.TIMES * self._took

    def do(self, work: Callable[[], T]) -> T:
        """Do it, due or not, and note how long it took."""
        began = time.monotonic()
        made = work()
        self._ended = time.monotonic()
        self._took = self._ended - began
        return made
