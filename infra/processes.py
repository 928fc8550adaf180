"""Servers as plain processes on loopback: each in a session of its own, with a log, ended with all that it started.

A server leaves children, and some of them leave its process group, or write over their environment (Ray, PostgreSQL).
What belongs to a server is therefore found in two ways: by the session it was started in, and by a mark in the
environment that its children inherit. Both are known to whoever comes after a starter that was killed.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

HOST = "127.0.0.1"
MARK = "FORESIGHT_SERVER"
"""In the environment of a server and its children: the path of its log."""
READY_S = 120.0
GRACE_S = 15.0
LOOK_S = 0.3
TAIL = 3
BOOT = Path("/proc/sys/kernel/random/boot_id")


class ServerError(RuntimeError):
    """A server that is lacking, cannot start, or has ended."""


class Asked(Exception):
    """Someone asked the servers to end."""


@dataclass(frozen=True)
class Server:
    """A process that was started, and where it writes."""

    name: str
    process: psutil.Popen
    log: Path

    def require_alive(self) -> None:
        """Refuse to go on once it has ended.

        Raises:
            ServerError: with its last words.
        """
        status = self.process.poll()
        if status is not None:
            said = self.log.read_text(encoding="utf-8", errors="replace").strip().split("\n")[-TAIL:]
            tail = " ".join(said).strip() or "it said nothing"
            raise ServerError(f"{self.name} ended with status {status}: {tail} (see {self.log})")

    def members(self) -> list[psutil.Process]:
        """The process and all that it started."""
        return _members(self.log, self.process.pid)

    def kill(self) -> None:
        """End it and all that it started as a power cut would."""
        _kill(self.log, self.process.pid)
        self.process.wait()


@contextmanager
def started(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    answers: Callable[[], bool] | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator[Server]:
    """A server that answers, ended at the end with everything that belongs to it.

    Raises:
        ServerError: it ended, or did not answer in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as said:
        process = psutil.Popen(
            [str(part) for part in command],
            env={**(os.environ if environment is None else environment), MARK: str(log)},
            cwd=cwd or log.parent,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    server = Server(name, process, log)
    try:
        _note(log).write_text(json.dumps({"session": process.pid, "boot": BOOT.read_text()}), encoding="utf-8")
        if answers is not None:
            _wait(server, answers)
        yield server
    finally:
        _end(server, ending)


def leftovers(folder: Path) -> list[psutil.Process]:
    """What servers with logs in this folder have left running, their starter gone."""
    return [process for log in sorted(folder.rglob("*.log")) for process in _members(log, _session(log))]


def end_leftovers(folder: Path) -> int:
    """End it; how many processes there were."""
    found = leftovers(folder)
    for log in sorted(folder.rglob("*.log")):
        _kill(log, _session(log))
    return len(found)


@contextmanager
def until_asked() -> Iterator[None]:
    """SIGTERM, SIGHUP or Ctrl-C raise `Asked`, once: a second one does not disturb the ending."""
    wanted = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def asked(number: int, frame: FrameType | None) -> None:
        for each in wanted:
            signal.signal(each, signal.SIG_IGN)
        raise Asked

    before = {number: signal.signal(number, asked) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(servers: Sequence[Server]) -> None:
    """Stay as long as all of them live.

    Raises:
        ServerError: one has ended.
    """
    while True:
        for server in servers:
            server.require_alive()
        time.sleep(LOOK_S)


def require_free(name: str, port: int, option: str) -> None:
    """Refuse a port that something else listens on.

    Raises:
        ServerError: it is in use.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise ServerError(
                f"port {port} is in use, so {name} cannot start; end what uses it or give {option}"
            ) from None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, no two alike."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def page_answers(url: str) -> bool:
    """Whether a page is served there, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _wait(server: Server, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_S
    while not answers():
        server.require_alive()
        if time.monotonic() > deadline:
            raise ServerError(f"{server.name} did not answer in {READY_S:.0f} s; see {server.log}")
        time.sleep(LOOK_S)


def _end(server: Server, ending: signal.Signals) -> None:
    """Ask the server, wait, then force it and whatever it leaves."""
    if server.process.poll() is None:
        server.process.send_signal(ending)
        with suppress(psutil.TimeoutExpired):
            server.process.wait(GRACE_S)
    server.kill()
    _note(server.log).unlink(missing_ok=True)


def _kill(log: Path, session: int | None) -> None:
    """SIGKILL until nothing is left: what is killed may have started something in that moment."""
    deadline = time.monotonic() + GRACE_S
    while found := _members(log, session):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.05)
        if time.monotonic() > deadline:
            raise ServerError(f"cannot end {', '.join(str(process.pid) for process in found)}; see {log}")


def _members(log: Path, session: int | None) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            ours = os.getsid(process.pid) == session or process.environ().get(MARK) == str(log)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _session(log: Path) -> int | None:
    """The session that a server was started in, if that was since the machine came up."""
    try:
        noted = json.loads(_note(log).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return noted["session"] if noted["boot"] == BOOT.read_text() else None


def _note(log: Path) -> Path:
    return log.with_suffix(".session")
