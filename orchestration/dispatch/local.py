"""A worker on this machine: a process in a group of its own (design §2: one door to a worker).

It lives and dies with the run that started it. A worker that exits 0 without its final message has failed; one that
exits 3 refused to go on, and says why.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.budget.allowance import StoppedAtReservation, to_end
from orchestration.dispatch.task import DispatchError, Left, WorkerRefused
from orchestration.home import REPOSITORY
from orchestration.messages import FileMessages, Heard
from orchestration.progress import Listener
from orchestration.worker import DISPATCHER

GRACE_S = 10.0
LOOK_S = 1.0
TAIL_LINES = 12


def run(
    context: dg.AssetExecutionContext,
    command: str,
    *,
    cwd: Path,
    each: Listener | None = None,
    left: Left | None = None,
) -> dict[str, Any]:
    """Run `command` in `cwd`; the `result` of the worker's final message, and `worker_seconds`, the process's own time.

    `each` is called with its progress. `left` gives the seconds until it must have ended; it is ended shortly before.

    Raises:
        DispatchError: it could not start, it failed, or it ended without a final message.
        WorkerRefused: it would not go on.
        StoppedAtReservation: its time was up, by its own word or because it was ended.
    """
    heard = Heard(context.log, each)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        dg.open_pipes_session(context, dg.PipesTempFileContextInjector(), FileMessages(heard)) as session,
    ):
        began = time.monotonic()
        bootstrap = {**session.get_bootstrap_env_vars(), DISPATCHER: str(os.getpid())}
        environment = {**worker_environment(), **bootstrap}
        code = _run(command, cwd, environment, errors, left)
        seconds = time.monotonic() - began
        errors.seek(0)
        tail = errors.readlines()[-TAIL_LINES:]
    if tail:
        sys.stderr.writelines(tail)
    if code != 0:
        said = heard.last.get("failed", {})
        why = said.get("error") or (tail[-1].strip() if tail else "it said nothing")
        if code == StoppedAtReservation.exit_code:
            raise StoppedAtReservation(why) if said.get("kind") == StoppedAtReservation.__name__ else WorkerRefused(why)
        raise DispatchError(f"`{command}` in {cwd} ended with {_ending(code)}: {why}")
    if "result" not in heard.last:
        raise DispatchError(
            f"`{command}` in {cwd} exited 0 without its final message; its work is not trusted: run it again"
        )
    return {**heard.last["result"]["result"], "worker_seconds": round(seconds, 3)}


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


def _run(command: str, cwd: Path, env: Mapping[str, str], errors: Any, left: Left | None = None) -> int:
    """The exit status; whatever ends this process on the way ends the worker and its children too."""
    try:
        process = subprocess.Popen(shlex.split(command), cwd=cwd, env=dict(env), stderr=errors, start_new_session=True)
    except OSError as error:
        raise DispatchError(f"`{command}` in {cwd} did not start: {error}") from error
    try:
        return process.wait() if left is None else _wait(process, command, left)
    finally:
        end_group(process)


def _wait(process: "subprocess.Popen[Any]", command: str, left: Left) -> int:
    early = to_end(left())
    while process.poll() is None:
        if left() <= early:
            raise StoppedAtReservation(f"`{command}` was ended: its reservation is used up; what it had saved stays")
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(LOOK_S, max(0.0, left() - early)))
    return process.returncode


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
