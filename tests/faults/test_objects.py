"""S3 away, a flipped bit in S3 or in DVC's cache, a push that is killed: nothing half-written is taken for whole, and
nothing damaged reaches a training.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestration.data.workspace import Workspace, WorkspaceError, repository_params
from orchestration.objects.folders import pull_folder, push_folder
from orchestration.objects.store import PART, ObjectStore, StoreAway, open_store
from tests.stack.conftest import foresight
from tests.stack.remote import Remote

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


@pytest.fixture
def remote_store(objects) -> ObjectStore:
    """What DVC pushes to."""
    return open_store(f"{objects}/dvc")


def elsewhere(workspace: Workspace, place: Path) -> Workspace:
    """The same dataset as a machine sees it that has its small files only."""
    made = Workspace(place, workspace.remote)
    small = ("data.dvc", "dvc.lock", "dvc.yaml", "params.yaml")
    made.open({name: (workspace.root / name).read_text() for name in small})
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lost(there: Path, made: Path) -> int:
    """Files that did not arrive as they were made."""
    found = contents(there)
    return sum(found.get(name) != data for name, data in contents(made).items())


def written(store: ObjectStore) -> dict[str, object]:
    """When each object was last written."""
    pages = store.client.get_paginator("list_objects_v2").paginate(Bucket=store.bucket, Prefix=store.full(""))
    return {each["Key"]: each["LastModified"] for page in pages for each in page.get("Contents", [])}


def again(before: dict[str, object], store: ObjectStore) -> int:
    """Objects that were there and were written once more."""
    now = written(store)
    return sum(now[key] != when for key, when in before.items() if key in now)


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.fault("S3 away for half a minute")
def test_work_goes_on_when_s3_was_away_for_half_a_minute(
    objects, workspace, remote_store, s3_alone, tmp_path, fault_row
):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(3 * PART))
    (folder / "small").write_bytes(b"small")
    workspace.commit("clips")
    before, store = written(remote_store), open_store(objects)
    s3_alone.kill()
    back = threading.Timer(AWAY_S, s3_alone.start)
    back.start()
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(1) as pool:
            pushed = pool.submit(push_folder, store, folder, "step")
            workspace.commit("shards")
            sha256 = pushed.result()
    finally:
        back.join()
    assert time.monotonic() - began > AWAY_S
    assert pull_folder(store, "step", tmp_path / "back") == sha256
    worker = elsewhere(workspace, tmp_path / "there")
    worker.pull(["shards"])
    fault_row.ended = "right result"
    fault_row.lost = lost(tmp_path / "back", folder) + lost(worker.root / "shards", workspace.root / "shards")
    fault_row.twice = again(before, remote_store)


@pytest.mark.fault("S3 away for good")
def test_s3_that_stays_away_costs_one_line_and_leaves_nothing(
    objects, workspace, remote_store, s3_alone, tmp_path, monkeypatch, fault_row
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("FORESIGHT_OBJECTS", objects)
    workspace.commit("clips")
    before, store = written(remote_store), open_store(objects)
    push_folder(store, workspace.root / "data", "step")
    s3_alone.kill()
    try:
        with pytest.raises(StoreAway, match=r"does not answer .*mend it or AWS_ENDPOINT_URL_S3 and repeat"):
            pull_folder(store, "step", tmp_path / "back")
        with pytest.raises(WorkspaceError, match="run again: it goes on"):
            workspace.commit("shards")
        profile = Remote(tmp_path, {}).profile()
        run = foresight(tmp_path / "home", "run", "--profile", str(profile), "--until", "clips")
    finally:
        s3_alone.start()
    assert not (tmp_path / "back").exists()
    with pytest.raises(WorkspaceError, match="not all of it is in"):
        workspace.version("shards")
    assert run.returncode == 1, run.stdout + run.stderr
    [line] = [line for line in run.stderr.splitlines() if line.startswith("foresight: ")]
    assert "see that it answers (foresight doctor) and run again" in line
    fault_row.ended = "clear failure"
    workspace.commit("shards")
    worker = elsewhere(workspace, tmp_path / "there")
    worker.pull(["shards"])
    fault_row.lost = lost(worker.root / "shards", workspace.root / "shards")
    fault_row.twice = again(before, remote_store)


@pytest.mark.fault("a flipped bit in S3")
def test_a_flipped_bit_in_s3_is_found_before_anything_is_made_of_it(workspace, remote_store, tmp_path, fault_row):
    workspace.commit("clips")
    workspace.commit("shards")
    damaged = next(key for key in remote_store.keys("files/") if not key.endswith(".dir"))
    place = {"Bucket": remote_store.bucket, "Key": remote_store.full(damaged)}
    sound = remote_store.client.get_object(**place)["Body"].read()
    remote_store.client.put_object(**place, Body=flip(sound))
    worker = elsewhere(workspace, tmp_path / "there")
    found = r"1 files are missing or damaged there, as [0-9a-f]{32}; remove that object"
    with pytest.raises(WorkspaceError, match=found):
        worker.pull(["clips", "shards"])
    assert not (worker.root / "data").exists()
    assert not (worker.root / "shards").exists()
    fault_row.ended = "clear failure"
    before = written(remote_store)
    remote_store.remove(damaged)
    for stage in ("clips", "shards"):
        if not workspace.whole(stage):
            workspace.commit(stage)
    worker.pull(["clips", "shards"])
    fault_row.lost = sum(lost(worker.root / name, workspace.root / name) for name in ("data", "shards"))
    del before[place["Key"]]
    fault_row.twice = again(before, remote_store)


@pytest.mark.fault("a flipped bit in DVC's cache")
def test_a_flipped_bit_in_dvcs_cache_is_mended_from_s3_before_anything_reads_it(workspace, tmp_path, fault_row):
    workspace.commit("clips")
    workspace.commit("shards")
    worker = elsewhere(workspace, tmp_path / "there")
    worker.pull(["shards"])
    damaged, *sound = sorted(
        path for path in (worker.root / ".dvc" / "cache" / "files").rglob("*") if path.is_file() and not path.suffix
    )
    fetched = {path: path.stat().st_mtime_ns for path in sound}
    damaged.chmod(0o644)
    damaged.write_bytes(flip(damaged.read_bytes()))
    damaged.chmod(0o444)  # as DVC leaves what it takes for sound
    shutil.rmtree(worker.root / "shards")
    worker.pull(["shards"])
    fault_row.ended = "right result"
    fault_row.lost = lost(worker.root / "shards", workspace.root / "shards")
    fault_row.twice = sum(path.stat().st_mtime_ns != when for path, when in fetched.items())


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
def test_a_version_whose_push_was_killed_halfway_is_not_published(workspace, remote_store, tmp_path, fault_row):
    workspace.commit("clips")
    halfway = tmp_path / "halfway"
    pusher = subprocess.Popen([sys.executable, "-c", PUSHER, str(workspace.root), workspace.remote, str(halfway)])
    deadline = time.monotonic() + 120
    try:
        while not halfway.exists():
            assert pusher.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        pusher.kill()
        pusher.wait()
    assert workspace.fresh("shards"), "DVC itself sees nothing wrong"
    with pytest.raises(WorkspaceError, match="not all of it is in"):
        workspace.version("shards")
    with pytest.raises(WorkspaceError, match="missing or damaged"):
        elsewhere(workspace, tmp_path / "early").pull(["shards"])
    before = written(remote_store)
    workspace.commit("shards")
    assert workspace.version("shards")
    assert set(before) < set(written(remote_store)), "it had not sent all"
    worker = elsewhere(workspace, tmp_path / "late")
    worker.pull(["shards"])
    fault_row.ended = "right result"
    fault_row.lost = lost(worker.root / "shards", workspace.root / "shards")
    fault_row.twice = again(before, remote_store)
