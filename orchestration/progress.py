"""How far a stage has come: the one message that a worker sends while it works, and who listens to it.

The worker prints it and sends it over Dagster Pipes; `foresight run` listens and draws it; in Dagster's own runs it
goes to the event log.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

EVERY_S = 10.0


@dataclass(frozen=True)
class Progress:
    """`done` of `total` of `what`, with the numbers of the moment (a loss, a learning rate)."""

    stage: str
    what: str
    done: int
    total: int
    numbers: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """One plain line for a pipe or a log."""
        numbers = "".join(f"  {name} {value:.4g}" for name, value in self.numbers.items())
        return f"{self.stage}: {self.what} {self.done}/{self.total}{numbers}"

    def message(self) -> dict[str, Any]:
        """The Pipes message."""
        return {"type": "progress", **asdict(self)}


Listener = Callable[[Progress], None]
listeners: list[Listener] = []


def publish(progress: Progress) -> None:
    """Hand a message to whoever listens in this process."""
    for listener in listeners:
        listener(progress)


class Every:
    """True at most once in `seconds`, and always for the last step and for another kind of work."""

    def __init__(self, seconds: float = EVERY_S) -> None:
        self._seconds, self._last, self._what = seconds, float("-inf"), ""

    def due(self, progress: Progress) -> bool:
        """Whether this message is worth a line."""
        now = time.monotonic()
        due = progress.done >= progress.total or progress.what != self._what or now - self._last >= self._seconds
        if due:
            self._last, self._what = now, progress.what
        return due
