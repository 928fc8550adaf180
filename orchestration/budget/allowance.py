"""The time that a dispatched worker may take, its reservation, and who stops when so that it is kept (design §8).

A training stops by itself first, with a checkpoint; whatever has not ended when the reservation is nearly over, as an
evaluation that hangs, is ended by its dispatcher.
"""

import time
from collections.abc import Callable


class StoppedAtReservation(RuntimeError):
    """A run that used up its reservation (exit 3): it goes on when more hours are approved."""

    exit_code = 3


def countdown(seconds: float) -> Callable[[], float]:
    """The seconds that are left of so many from now; a clock that is set back gives none of them again."""
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def to_finish(seconds: float) -> float:
    """What a training keeps back of its time, to record what it did and to end: a minute, less of a short time."""
    return min(60.0, 0.2 * seconds)


def to_end(seconds: float) -> float:
    """How long before the end of the reservation a dispatcher ends its worker."""
    return min(10.0, 0.1 * seconds)
