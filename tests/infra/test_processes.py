"""Processes of servers: ended with children that left their group, found again after their starter was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra import processes
from infra.processes import MARK, Asked, ServerError, end_leftovers, leftovers, started
from orchestration.home import REPOSITORY

# One child stays in the session without the mark (as Ray's and PostgreSQL's do, which write over their environment);
# one leaves the session with the mark (as the driver of a Ray job does).
PARENT = f"""
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
unmarked = {{name: value for name, value in os.environ.items() if name != {MARK!r}}}
subprocess.Popen(sleep, env=unmarked)
subprocess.Popen(sleep, start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""


def answering(log: Path):
    return lambda: log.is_file() and log.read_text() == "up\n"


def alive(found: list[psutil.Process]) -> list[int]:
    return [one.pid for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_what_a_server_started_ends_with_it_wherever_it_went(tmp_path):
    log = tmp_path / "server.log"
    with started("a server", [sys.executable, "-c", PARENT], log, answers=answering(log)) as server:
        members = server.members()
        assert len(alive(members)) == 3
    assert alive(members) == []
    assert leftovers(tmp_path) == []


def test_a_server_that_does_not_hear_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_S", 0.5)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    log = tmp_path / "deaf.log"
    with started("a deaf one", [sys.executable, "-c", deaf], log, answers=answering(log)) as server:
        pass
    assert server.process.returncode == -signal.SIGKILL


def test_a_server_that_ends_is_told_with_its_last_words(tmp_path):
    with (
        pytest.raises(ServerError, match="it ended with status 1: no database"),
        started("it", [sys.executable, "-c", "exit('no database')"], tmp_path / "it.log", answers=lambda: False),
    ):
        pass


def test_what_a_killed_starter_left_is_found_and_ended(tmp_path):
    log = tmp_path / "deep" / "server.log"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom infra.processes import started\n"
        f"with started('it', [sys.executable, '-c', {PARENT!r}], Path({str(log)!r})): time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)
    deadline = time.monotonic() + 60
    while not answering(log)():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    found = leftovers(tmp_path)
    assert len(alive(found)) == 3
    assert end_leftovers(tmp_path) == 3
    assert alive(found) == []


def test_a_session_of_before_the_machine_was_restarted_is_not_taken_for_ones_own(tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        (tmp_path / "it.log").touch()
        (tmp_path / "it.session").write_text(f'{{"session": {stranger.pid}, "boot": "another"}}')
        assert end_leftovers(tmp_path) == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_signal_does_not_disturb_the_ending():
    ended = []

    def end_slowly() -> None:
        with processes.until_asked():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                ended.append(True)

    with pytest.raises(Asked):
        end_slowly()
    assert ended == [True]
