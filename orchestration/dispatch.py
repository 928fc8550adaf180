"""Send a command to a worker and bring its messages back (design §2: one door to a worker).

Locally a worker is a subprocess in its own process group. Its messages come by Dagster Pipes; a message reader is
single-use, so each call makes its own. A worker that exits 0 without its final message has failed.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.home import REPOSITORY
from orchestration.progress import Every, Listener, Progress, listeners, publish

GRACE_S = 10.0
TAIL_LINES = 12


class DispatchError(RuntimeError):
    """A worker that failed, with the reason it gave."""


class _Reader(dg.PipesTempFileMessageReader):
    """Hands progress on while the worker works, and keeps the last message of every other type."""

    def __init__(self, log: Any, each: Listener | None) -> None:
        super().__init__()
        self._log, self._each, self._every = log, each, Every()
        self.messages: dict[str, dict[str, Any]] = {}

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[dict[str, Any]]:
        with super().read_messages(_Tap(handler, self)) as params:  # type: ignore[arg-type]
            yield dict(params)

    def take(self, payload: dict[str, Any]) -> None:
        """One custom message of the worker."""
        if payload.get("type") != "progress":
            self.messages[payload["type"]] = payload
            return
        progress = Progress(**{name: value for name, value in payload.items() if name != "type"})
        publish(progress)
        if self._each:
            self._each(progress)
        if not listeners and self._every.due(progress):
            self._log.info(progress.line())


class _Tap:
    """A message handler that gives custom messages to the reader the moment they come; Dagster only queues them."""

    def __init__(self, handler: dg.PipesMessageHandler, reader: _Reader) -> None:
        self._handler, self._reader = handler, reader

    def handle_message(self, message: dict[str, Any]) -> None:
        if message["method"] == "report_custom_message":
            self._reader.take(message["params"]["payload"])
        else:
            self._handler.handle_message(message)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)


def dispatch(
    context: dg.AssetExecutionContext, command: str, *, cwd: Path, each: Listener | None = None
) -> dict[str, Any]:
    """Run `command` in `cwd`; the `result` of the worker's final message, and `worker_seconds`, the process's own time.

    `each` is called with its progress.

    Raises:
        DispatchError: it could not start, it failed, or it ended without a final message.
    """
    reader = _Reader(context.log, each)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        dg.open_pipes_session(context, dg.PipesTempFileContextInjector(), reader) as session,
    ):
        began = time.monotonic()
        code = _run(command, cwd, {**worker_environment(), **session.get_bootstrap_env_vars()}, errors)
        seconds = time.monotonic() - began
        errors.seek(0)
        tail = errors.readlines()[-TAIL_LINES:]
    if tail:
        sys.stderr.writelines(tail)
    if code != 0:
        why = reader.messages.get("failed", {}).get("error") or (tail[-1].strip() if tail else "it said nothing")
        raise DispatchError(f"`{command}` in {cwd} ended with {_ending(code)}: {why}")
    if "result" not in reader.messages:
        raise DispatchError(
            f"`{command}` in {cwd} exited 0 without its final message; its work is not trusted: run it again"
        )
    return {**reader.messages["result"]["result"], "worker_seconds": round(seconds, 3)}


def worker_environment() -> dict[str, str]:
    """This environment, with the running interpreter's `python` first and the repository importable."""
    paths = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    sources = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PATH": os.pathsep.join(filter(None, paths)),
        "PYTHONPATH": os.pathsep.join(filter(None, sources)),
        "PYTHONUNBUFFERED": "1",
    }


def _run(command: str, cwd: Path, env: Mapping[str, str], errors: Any) -> int:
    """The exit status; whatever ends this process on the way ends the worker and its children too."""
    try:
        process = subprocess.Popen(shlex.split(command), cwd=cwd, env=dict(env), stderr=errors, start_new_session=True)
    except OSError as error:
        raise DispatchError(f"`{command}` in {cwd} did not start: {error}") from error
    try:
        return process.wait()
    finally:
        end_group(process)


def end_group(process: "subprocess.Popen[Any]") -> None:
    """End a process group: ask, wait, then force. Nothing happens to one that is already over."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
