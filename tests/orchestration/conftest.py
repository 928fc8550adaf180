"""What several tests of the orchestration stand on."""

import subprocess
import sys

import pytest

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
