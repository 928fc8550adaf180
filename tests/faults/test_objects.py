"""S3 away, a flipped bit, a push that is killed: nothing half-written is taken for whole, nothing damaged is read."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestration.data.workspace import Workspace, WorkspaceError, repository_params
from orchestration.objects.folders import pull_folder, push_folder
from orchestration.objects.store import PART, StoreAway, open_store
from tests.faults.rows import FaultRow
from tests.stack.conftest import foresight

pytestmark = pytest.mark.stack
AWAY_S = 30
FILES = {f"{number:02}.bin": number for number in range(12)}


@pytest.fixture
def workspace(objects, tmp_path) -> Workspace:
    """A dataset on this machine, its remote in S3."""
    made = Workspace(tmp_path / "here" / "some", f"{objects}/dvc")
    made.prepare(repository_params())
    for folder in ("data", "shards"):
        (made.root / folder).mkdir()
        for name, number in FILES.items():
            (made.root / folder / name).write_bytes(folder.encode() + bytes([number]) * 100_000)
    return made


def elsewhere(workspace: Workspace, place: Path) -> Workspace:
    """The same dataset as a machine sees it that has its small files only."""
    made = Workspace(place, workspace.remote)
    made.open(
        {name: (workspace.root / name).read_text() for name in ("data.dvc", "dvc.lock", "dvc.yaml", "params.yaml")}
    )
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def differing(folder: Path, wanted: Path) -> int:
    """Files of one folder that the other lacks or has with other bytes."""
    there, here = contents(folder), contents(wanted)
    return sum(there.get(name) != data for name, data in here.items())


def times(objects: str) -> dict[str, Any]:
    """When each object of DVC's was last sent."""
    store = open_store(f"{objects}/dvc")
    given = {"Bucket": store.bucket, "Prefix": store.full("")}
    return {one["Key"]: one["LastModified"] for one in store.client.list_objects_v2(**given)["Contents"]}


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def remove_server_bit(store, key: str) -> None:
    """Flip a bit of an object that DVC pushed."""
    given = {"Bucket": store.bucket, "Key": store.full(key)}
    store.client.put_object(**given, Body=flip(store.client.get_object(**given)["Body"].read()))


@pytest.mark.fault("S3 away for 30 s")
def test_work_goes_on_when_s3_was_away_for_half_a_minute(objects, workspace, s3_alone, tmp_path, fault_row: FaultRow):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(3 * PART))
    (folder / "small").write_bytes(b"small")
    store = open_store(objects)
    s3_alone.kill()
    back = threading.Timer(AWAY_S, s3_alone.start)
    back.start()
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(1) as pool:
            pushed = pool.submit(push_folder, store, folder, "step")
            workspace.commit("clips")
            sha256 = pushed.result()
    finally:
        back.join()
    assert time.monotonic() - began > AWAY_S
    assert pull_folder(store, "step", tmp_path / "back") == sha256
    fault_row.ended, fault_row.lost = "right result", differing(tmp_path / "back", folder)
    fault_row.twice = len(list(store.keys("step"))) - len({"large", "small", "manifest"})
    assert workspace.whole("clips")


@pytest.mark.fault("S3 away for good")
def test_s3_that_stays_away_costs_one_line_and_leaves_nothing(
    objects, workspace, s3_alone, tmp_path, monkeypatch, fault_row: FaultRow
):
    workspace.commit("clips")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("FORESIGHT_OBJECTS", objects)
    store = open_store(objects)
    push_folder(store, workspace.root / "data", "step")
    s3_alone.kill()
    try:
        with pytest.raises(StoreAway, match=r"does not answer .*mend it or AWS_ENDPOINT_URL_S3 and repeat"):
            pull_folder(store, "step", tmp_path / "back")
        with pytest.raises(WorkspaceError, match=r"run again: it goes on"):
            workspace.commit("shards")
        run = foresight(tmp_path / "home", "run", "--until", "clips")
    finally:
        s3_alone.start()
    assert not (tmp_path / "back").exists()
    assert not workspace.published("shards")
    with pytest.raises(WorkspaceError, match="not all of it is in"):
        workspace.version("shards")
    assert run.returncode == 1, run.stdout + run.stderr
    lines = [line for line in run.stderr.splitlines() if line.startswith("foresight: ")]
    assert len(lines) == 1, run.stderr
    assert "endpoint" in lines[0]
    workspace.commit("shards")
    assert workspace.whole("shards")
    back = elsewhere(workspace, tmp_path / "there")
    back.pull(["shards"])
    fault_row.ended, fault_row.lost = "clear failure", differing(back.root / "shards", workspace.root / "shards")
    fault_row.twice = len(lines) - 1


@pytest.mark.fault("S3 object with a flipped bit")
def test_a_flipped_bit_in_s3_is_found_when_the_data_is_fetched(objects, workspace, tmp_path, fault_row: FaultRow):
    for stage in ("clips", "shards"):
        workspace.commit(stage)
    store = open_store(f"{objects}/dvc")
    before = set(store.keys())
    damaged = next(key for key in before if not key.endswith(".dir"))
    remove_server_bit(store, damaged)
    worker = elsewhere(workspace, tmp_path / "there")
    with pytest.raises(
        WorkspaceError, match=r"1 files are missing or damaged there, as [0-9a-f]{32}; remove that object"
    ):
        worker.pull(["clips", "shards"])
    assert not (worker.root / "data").exists()
    assert not (worker.root / "shards").exists()
    store.remove(damaged)
    for stage in ("clips", "shards"):
        assert workspace.fresh(stage)
        if not workspace.whole(stage):
            workspace.commit(stage)
    worker.pull(["clips", "shards"])
    fault_row.ended, fault_row.twice = "clear failure", len(set(store.keys()) - before)
    fault_row.lost = differing(worker.root / "shards", workspace.root / "shards")


@pytest.mark.fault("DVC cache with a flipped bit")
def test_a_flipped_bit_in_dvcs_cache_is_mended_from_s3_before_anything_reads_it(
    workspace, objects, tmp_path, fault_row: FaultRow
):
    for stage in ("clips", "shards"):
        workspace.commit(stage)
    worker = elsewhere(workspace, tmp_path / "there")
    worker.pull(["shards"])
    for path in (worker.root / ".dvc" / "cache" / "files").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(flip(path.read_bytes()))
            path.chmod(0o444)  # as DVC leaves what it takes for sound
    shutil.rmtree(worker.root / "shards")
    sent = set(open_store(f"{objects}/dvc").keys())
    worker.pull(["shards"])
    fault_row.ended, fault_row.twice = "right result", len(set(open_store(f"{objects}/dvc").keys()) - sent)
    fault_row.lost = differing(worker.root / "shards", workspace.root / "shards")


PUSHER = """
import sys, time
from pathlib import Path
import s3fs
from orchestration.data.workspace import Workspace

send, sent = s3fs.S3FileSystem._put_file, []

async def halting(self, *given, **how):
    if len(sent) >= 5:
        Path(sys.argv[3]).touch()
        time.sleep(600)
    sent.append(1)
    return await send(self, *given, **how)

s3fs.S3FileSystem._put_file = halting
Workspace(Path(sys.argv[1]), sys.argv[2]).commit("shards")
"""


@pytest.mark.fault("dvc push killed halfway")
def test_a_version_whose_push_was_killed_halfway_is_not_published(objects, workspace, tmp_path, fault_row: FaultRow):
    workspace.commit("clips")
    halfway = tmp_path / "halfway"
    pusher = subprocess.Popen([sys.executable, "-c", PUSHER, str(workspace.root), workspace.remote, str(halfway)])
    deadline = time.monotonic() + 60
    while not halfway.exists():
        assert pusher.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pusher.send_signal(signal.SIGKILL)
    pusher.wait()
    assert workspace.fresh("shards"), "DVC itself sees nothing wrong"
    assert not workspace.published("shards")
    assert list(workspace.versions()) == ["clips"]
    with pytest.raises(WorkspaceError, match="not all of it is in"):
        workspace.version("shards")
    with pytest.raises(WorkspaceError, match="missing or damaged"):
        elsewhere(workspace, tmp_path / "early").pull(["shards"])
    there = times(objects)
    workspace.commit("shards")
    assert workspace.version("shards")
    after = times(objects)
    assert there.keys() < after.keys()
    worker = elsewhere(workspace, tmp_path / "late")
    worker.pull(["shards"])
    fault_row.ended, fault_row.lost = "clear failure", differing(worker.root / "shards", workspace.root / "shards")
    fault_row.twice = sum(after[key] != when for key, when in there.items())
