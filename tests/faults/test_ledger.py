"""The ledger under real processes that race and die, and on a disk that is full: no hour twice, lost or leaked."""

import datetime as dt
import itertools
import json
import multiprocessing
import signal
import subprocess
import sys

import psutil
import pytest

from orchestration.budget.ledger import Ledger
from orchestration.budget.reservations import OPEN
from orchestration.plan.programme import load
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store, StoreError
from tests.faults import dispatchers

# One server imports the libraries once; every child that it forks is a process of its own.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload([dispatchers.__name__, "pytest"])
ROUNDS, RACERS = 30, 3


def test_of_processes_that_race_for_the_last_hours_one_wins(database):
    gate, results = CHILDREN.Barrier(RACERS, timeout=120), CHILDREN.Queue()
    given = [(database, str(name), ROUNDS, gate, results) for name in range(RACERS)]  # the first one makes the tables
    racers = [CHILDREN.Process(target=dispatchers.race, args=one) for one in given]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(240)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    winners = [results.get(timeout=5)[0] for _ in range(ROUNDS)]
    assert sorted(winners) == list(range(ROUNDS))
    assert results.empty()
    assert DecisionLog(Store(database)).verify() is None


def killed(database: str, name: str, moment: int) -> bool:
    """Whether the dispatcher died at the moment, and had not come to its end before."""
    child = CHILDREN.Process(target=dispatchers.live_until, args=(database, name, moment))
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def test_a_kill_between_any_two_steps_loses_nothing_and_leaks_nothing(database):
    """Every second dispatcher comes back and goes on; the others never do, and what they held is free again."""
    store, late, used = Store(database), dt.timedelta(), 0.0
    ledger = Ledger(store, load(), lambda: dt.datetime.now(dt.UTC) + late)
    for moment in itertools.count():
        name = f"run-{moment}"
        if not killed(database, name, moment):
            break
        assert DecisionLog(store).verify() is None, f"killed at moment {moment}"
        if moment % 2:
            dispatchers.live(ledger, name)
            assert sum(one["work"] == f"clips/{name}" for one in ledger.summary()["approvals"]) == 1
        else:
            late += dt.timedelta(hours=1)
            ledger.expire()
        mine = [one for one in ledger.reservations() if one.work == f"clips/{name}"]
        assert not [one for one in mine if one.state in OPEN]
        used += sum(one.gpu_hours for one in mine)
        if moment % 2:
            assert sum(one.gpu_hours for one in mine) == dispatchers.USED
    assert moment >= 30, "every transaction was begun, written and kept under the knife"
    used += dispatchers.USED
    left = ledger.summary()["phases"][0]["left_gpu_hours"]
    assert left == pytest.approx(80 - used)
    assert ledger.reserve("all that is left", phase=1, gpus=1, max_hours=left, device="a100").state == "reserved"


FILLS = """
import json, resource, sys
from pathlib import Path
from orchestration.budget.ledger import Ledger
from orchestration.plan.programme import load
from orchestration.record.store import Store, StoreError
folder = Path(sys.argv[1])
ledger, made, said = Ledger(Store(folder / "foresight.db"), load()), [], ""
size = max(path.stat().st_size for path in folder.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 60_000, resource.RLIM_INFINITY))
for number in range(1000):
    try:
        made.append(ledger.reserve(f"run-{number}", phase=1, gpus=0, max_hours=1, device="cpu").key)
    except StoreError as error:
        said = str(error)
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
made.append(ledger.reserve("there is room again", phase=1, gpus=0, max_hours=1, device="cpu").key)
print(json.dumps([made, said]))
"""


def test_a_full_disk_loses_no_row_that_was_kept_and_keeps_no_half_one(tmp_path):
    done = subprocess.run([sys.executable, "-c", FILLS, str(tmp_path)], capture_output=True, text=True, check=True)
    made, said = json.loads(done.stdout)
    assert "nothing was written, mend it and repeat" in said
    assert 1 < len(made) < 1000
    store = Store(tmp_path / "foresight.db")
    assert [one.key for one in Ledger(store, load()).reservations()] == made
    assert DecisionLog(store).verify() is None


@pytest.mark.stack
def test_a_full_disk_under_postgresql_likewise(postgres, new_database):
    """Files may not grow past 2 MB: the server's next sessions inherit the limit, and a row's text does not fit."""
    store, made = Store(new_database()), []
    ledger = Ledger(store, load())

    def reserve(number: int) -> None:
        long = "".join(f"{(number * 7919 + i) * 2654435761 % 2**32:08x}" for i in range(25_000))
        made.append(ledger.reserve(f"run-{number}", phase=1, gpus=0, max_hours=1, device="cpu", person=long).key)

    postgres.limit_files("2097152")
    try:
        with pytest.raises(StoreError, match="could not extend file"):
            list(map(reserve, range(1000)))
    finally:
        postgres.limit_files("unlimited")
    assert len(made) > 1
    reserve(len(made))
    assert [one.key for one in ledger.reservations()] == made
    assert DecisionLog(store).verify() is None


DISPATCHES = """
import dagster as dg, sys
from pathlib import Path
from orchestration.dispatch.local import run
@dg.asset
def thing(context: dg.AssetExecutionContext):
    run(context, f"{sys.executable} worker.py", cwd=Path.cwd())
dg.materialize([thing])
"""
WORKS = """
import os, sys, time
from pathlib import Path
from orchestration import worker
def run(stage, job, reporter):
    Path("pid").write_text(str(os.getpid()))
    time.sleep(600)
worker.STAGES["shards"] = "__main__"
worker.main(["shards"])
"""


def test_a_worker_whose_dispatcher_is_killed_ends_too(tmp_path):
    (tmp_path / "worker.py").write_text(WORKS)
    dispatcher = psutil.Popen([sys.executable, "-c", DISPATCHES], cwd=tmp_path, stderr=subprocess.DEVNULL)
    pid = tmp_path / "pid"
    for _ in range(1200):
        if pid.exists() and pid.read_text():
            break
        assert dispatcher.poll() is None
        psutil.wait_procs([dispatcher], timeout=0.1)
    worker = psutil.Process(int(pid.read_text()))
    dispatcher.kill()
    dispatcher.wait()
    assert not psutil.wait_procs([worker], timeout=30)[1]
