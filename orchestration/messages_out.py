"""How a worker writes its messages where they share a stream with all else that it prints: each alone on a line.

Dagster's own writer hands text to a buffer, which may cut a message, and may begin behind a half-printed progress bar
of some library: the reader would take neither for a message. One write of whole lines is kept together by the kernel.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster_pipes import PipesDefaultMessageWriter, PipesMessage, PipesMessageWriterChannel, PipesParams


class _Lines(PipesMessageWriterChannel):
    def write_message(self, message: PipesMessage) -> None:
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), f"\n{json.dumps(message)}\n".encode())


class WholeLines(PipesDefaultMessageWriter):
    """Dagster's writer, except to the standard output."""

    @contextmanager
    def open(self, params: PipesParams) -> Iterator[Any]:
        """The channel that the reader asked for."""
        if self.STDIO_KEY in params:
            yield _Lines()
            return
        with super().open(params) as channel:
            yield channel
