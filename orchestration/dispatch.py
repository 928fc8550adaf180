"""Send a command to a worker and bring its messages back (design §2: one door to a worker).

Locally a worker is a subprocess in its own process group. A worker that exits 0 without its final message has failed.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.home import REPOSITORY
from orchestration.messages import WorkerMessages
from orchestration.progress import Listener

GRACE_S = 10.0
TAIL_LINES = 12


class DispatchError(RuntimeError):
    """A worker that failed, with the reason it gave."""


def dispatch(
    context: dg.AssetExecutionContext, command: str, *, cwd: Path, each: Listener | None = None
) -> dict[str, Any]:
    """Run `command` in `cwd`; the `result` of the worker's final message, and `worker_seconds`, the process's own time.

    `each` is called with its progress.

    Raises:
        DispatchError: it could not start, it failed, or it ended without a final message.
    """
    messages = WorkerMessages(context.log, each)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        dg.open_pipes_session(context, dg.PipesTempFileContextInjector(), messages) as session,
    ):
        began = time.monotonic()
        code = _run(command, cwd, {**worker_environment(), **session.get_bootstrap_env_vars()}, errors)
        seconds = time.monotonic() - began
        errors.seek(0)
        tail = errors.readlines()[-TAIL_LINES:]
    if tail:
        sys.stderr.writelines(tail)
    if code != 0:
        why = messages.last.get("failed", {}).get("error") or (tail[-1].strip() if tail else "it said nothing")
        raise DispatchError(f"`{command}` in {cwd} ended with {_ending(code)}: {why}")
    if "result" not in messages.last:
        raise DispatchError(
            f"`{command}` in {cwd} exited 0 without its final message; its work is not trusted: run it again"
        )
    return {**messages.last["result"]["result"], "worker_seconds": round(seconds, 3)}


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
