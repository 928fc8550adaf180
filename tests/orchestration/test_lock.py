"""One run at a time in one home, and a dead run blocks nobody."""

import subprocess
import sys

import pytest

from orchestration.lock import RunningError, hold

HOLDER = """
import sys
from pathlib import Path
from orchestration.lock import hold
with hold(Path(sys.argv[1]), 'foresight run'):
    print('held', flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "home" / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_refused_and_told_who_runs(tmp_path, holder):
    told = rf"'foresight run' is going on here \(process {holder.pid}, for 0 min\)"
    with pytest.raises(RunningError, match=told), hold(tmp_path / "home" / "lock", "another"):
        raise AssertionError("two runs hold one home")


def test_a_killed_run_leaves_nothing_stale(tmp_path, holder):
    holder.kill()
    holder.wait()
    with hold(tmp_path / "home" / "lock", "another"):
        assert "another" in (tmp_path / "home" / "lock").read_text()


def test_the_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(KeyError), hold(tmp_path / "lock", "first"):
        raise KeyError
    with hold(tmp_path / "lock", "second"):
        pass
