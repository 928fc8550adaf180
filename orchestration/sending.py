"""Numbers on their way to MLflow: a thread sends them, so that a training waits for nobody and loses none of them.

While MLflow is away they wait in memory, and the loop's history holds them on disk; they are sent when it is back, at
the latest at the end.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

BATCH = 200
"""Numbers that are worth a call."""
MOST = 1000
"""MLflow takes no more of them at once."""
PAUSE_S = 5.0
"""Between a call that failed and the next."""


class Sending:
    """Takes numbers at once and hands them to `send`, in order, until it takes them."""

    def __init__(self, send: Callable[[list[Any]], object], away: tuple[type[Exception], ...]) -> None:
        """`away` are the errors after which the same numbers are sent again."""
        self.why = ""
        """What the last call said, when it failed."""
        self._send, self._away = send, away
        self._waiting: list[Any] = []
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="sending", daemon=True)
        self._thread.start()

    def add(self, numbers: list[Any]) -> None:
        """Take numbers; returns at once."""
        with self._changed:
            self._waiting.extend(numbers)
            self._changed.notify()

    def end(self, patience_s: float) -> int:
        """Send what is left, for so many seconds at most; how many numbers could not be sent."""
        with self._changed:
            self._deadline = time.monotonic() + patience_s
            self._changed.notify()
        self._thread.join(patience_s + PAUSE_S)
        return len(self._waiting)

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._send(batch)
            except self._away as error:
                self.why = str(error).strip().split("\n")[0]
                if not self._again():
                    return
            else:
                with self._changed:
                    del self._waiting[: len(batch)]

    def _next(self) -> list[Any]:
        """What to send now; nothing once all is sent and no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= BATCH or self._deadline is not None)
            return self._waiting[:MOST]

    def _again(self) -> bool:
        """Pause, then say whether there is time for another call."""
        with self._changed:
            self._changed.wait_for(lambda: self._deadline is not None, PAUSE_S)
        if self._deadline is None:
            return True
        time.sleep(min(PAUSE_S, max(0.0, self._deadline - time.monotonic())))
        return time.monotonic() < self._deadline
