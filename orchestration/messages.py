"""What a worker says while it works, by Dagster Pipes, one JSON line a message: in a file, or in its log (ADR 18).

Dagster's own file reader takes a line that is only half written for a whole one and gives up; here a line counts when
its end has come.
"""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import dagster as dg
from dagster_pipes import PipesDefaultMessageWriter

from orchestration.progress import Every, Listener, Progress, listeners, publish

LOOK_EVERY_S = 0.1


class Heard:
    """Takes a worker's messages: hands progress on, and keeps the last message of every other type. For one worker."""

    def __init__(self, log: Any, each: Listener | None) -> None:
        self._log, self._each, self._every = log, each, Every()
        self.last: dict[str, dict[str, Any]] = {}

    def take(self, message: Any, handler: dg.PipesMessageHandler) -> None:
        """One message, once."""
        if message["method"] != "report_custom_message":
            handler.handle_message(message)
            return
        payload = message["params"]["payload"]
        if payload.get("type") != "progress":
            self.last[payload["type"]] = payload
            return
        progress = Progress(**{name: value for name, value in payload.items() if name != "type"})
        publish(progress)
        if self._each:
            self._each(progress)
        if not listeners and self._every.due(progress):
            self._log.info(progress.line())


class FileMessages(dg.PipesMessageReader):
    """Reads the messages of a worker on this machine from a file. For one worker only."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[dict[str, Any]]:
        """Read in a thread until the session closes; what has been written by then is read to its end."""
        with tempfile.TemporaryDirectory(prefix="foresight-") as folder:
            path, closed = Path(folder) / "messages", threading.Event()
            path.touch()
            thread = threading.Thread(target=self._read, args=(path, handler, closed), daemon=True)
            thread.start()
            try:
                yield {PipesDefaultMessageWriter.FILE_PATH_KEY: str(path)}
            finally:
                closed.set()
                thread.join()

    def no_messages_debug_text(self) -> str:
        return "Attempted to read messages from the worker's file."

    def _read(self, path: Path, handler: dg.PipesMessageHandler, closed: threading.Event) -> None:
        with path.open(encoding="utf-8") as file:
            for line in complete_lines(file, closed):
                self._heard.take(json.loads(line), handler)


def complete_lines(file: TextIO, closed: threading.Event) -> Iterator[str]:
    """The lines of a file that grows, each once it is whole; ends when `closed` is set and nothing more has come."""
    line = ""
    while True:
        last_look = closed.is_set()
        part = file.readline()
        line += part
        if line.endswith("\n"):
            yield line
            line = ""
        elif not part:
            if last_look:
                return
            closed.wait(LOOK_EVERY_S)
