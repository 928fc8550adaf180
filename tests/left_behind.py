"""At the end of a session of stack tests: no process that it started is left, whatever became of its parent."""

import os
import secrets
import time
from contextlib import suppress

import psutil
import pytest

SESSION = "FORESIGHT_TEST_SESSION"
GRACE_S = 10.0
"""What was told to end may take a moment."""
PYTHONS_OWN = ("from multiprocessing.resource_tracker import", "from multiprocessing.forkserver import")
"""Helpers that Python keeps for this process and that end when it does."""


@pytest.hookimpl
def pytest_configure(config: pytest.Config) -> None:
    """Mark this session's processes by what they inherit."""
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        os.environ[SESSION] = secrets.token_hex(8)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session by name of what is left, and end it."""
    if os.environ.get("PYTEST_XDIST_WORKER") or session.config.getoption("markexpr", "") not in (
        "stack",
        "fault",
        "stack and not fault",
    ):
        return
    deadline = time.monotonic() + GRACE_S
    while (left := left_behind(os.environ[SESSION])) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in left:
        with suppress(psutil.Error):
            print(f"\nleft behind: {process.pid} {' '.join(process.cmdline())[:200]}")
            process.kill()
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def left_behind(mark: str) -> list[psutil.Process]:
    """The processes of a session, but for this one and those it stands on."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = {child.pid: child for child in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(SESSION) == mark:
                found[process.pid] = process
    return [one for one in found.values() if one.pid not in own and _lives(one) and not _helps(one)]


def _helps(process: psutil.Process) -> bool:
    """Whether it is a helper of this process, not one that another left."""
    with suppress(psutil.Error):
        return process.ppid() == os.getpid() and any(own in " ".join(process.cmdline()) for own in PYTHONS_OWN)
    return False


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
