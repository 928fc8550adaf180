"""A stack test that leaves a process behind fails its session, even when the process's parent is gone."""

import multiprocessing
import os
import subprocess
import sys

from orchestration.home import REPOSITORY
from tests.left_behind import left_behind

LEAVES = """
import subprocess, sys
import pytest
@pytest.mark.stack
def test_leaves():
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(600)']"
    code = f"import subprocess, sys; subprocess.Popen({sleeper}, start_new_session=True)"
    subprocess.run([sys.executable, "-c", code], check=True)
"""


def test_what_is_left_is_named_ended_and_fails_the_session(tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.left_behind import pytest_configure, pytest_sessionfinish\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = stack\n")
    (tmp_path / "test_it.py").write_text(LEAVES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "stack", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False)
    assert "1 passed" in done.stdout
    assert "left behind:" in done.stdout
    assert "time.sleep(600)" in done.stdout
    assert done.returncode == 1


def test_what_python_keeps_for_this_process_is_not_left_behind():
    helped = multiprocessing.get_context("forkserver").Process(target=os.getpid)
    helped.start()
    helped.join()
    assert not left_behind("no such session")


def test_a_mark_that_no_process_has_finds_children_only():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        assert child.pid in {one.pid for one in left_behind("no such session")}
    finally:
        child.kill()
        child.wait()
