"""What several tests of the orchestration stand on."""

import subprocess
import sys

import pytest

from orchestration.budget.ledger import Ledger
from orchestration.plan.programme import load
from orchestration.record.store import Store
from tests.orchestration.ledgers import Clock

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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: str) -> Store:
    return Store(database)


@pytest.fixture
def ledger(store: Store, clock: Clock) -> Ledger:
    return Ledger(store, load(), clock)
