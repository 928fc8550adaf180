"""The store against a real S3 server: round trips, conditional writes, and an upload that is killed."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestration.objects import upload
from orchestration.objects.folders import pull_folder, push_folder
from orchestration.objects.store import PART, UPLOADS, ObjectDamaged, ObjectMissing, ObjectTaken, open_store

pytestmark = pytest.mark.stack


@pytest.fixture
def store(objects):
    return open_store(objects)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(5 * PART + 12345))
    return path


def flip(store, key):
    """Turn one bit of an object, with all that was noted of it left as it was."""
    there = store.client.get_object(Bucket=store.bucket, Key=store.full(key))
    data = bytearray(there["Body"].read())
    data[len(data) // 2] ^= 1
    store.client.put_object(Bucket=store.bucket, Key=store.full(key), Body=bytes(data), Metadata=there["Metadata"])


def test_what_is_put_comes_back_and_what_is_removed_does_not(store, tmp_path, large):
    (tmp_path / "small").write_bytes(b"small")
    for name in ("small", "large"):
        sha256 = store.put_file(tmp_path / name, f"some/{name}")
        assert store.get_file(f"some/{name}", tmp_path / "back") == sha256
        assert (tmp_path / "back").read_bytes() == (tmp_path / name).read_bytes()
    assert list(store.keys()) == ["some/large", "some/small"]
    assert list(store.keys("some/s")) == ["some/small"]
    store.remove("some/small")
    assert not store.exists("some/small")
    with pytest.raises(ObjectMissing):
        store.get_bytes("some/small")


def test_of_eight_who_write_at_once_one_wins(store):
    def write(number):
        try:
            store.put_bytes(str(number).encode(), "claim", only_if_absent=True)
            return number
        except ObjectTaken:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [number for number in pool.map(write, range(8)) if number is not None]
    assert len(won) == 1
    assert store.get_bytes("claim") == str(won[0]).encode()


def test_a_large_file_does_not_replace_one_that_came_first(store, large, monkeypatch):
    monkeypatch.setattr(
        upload, "_begin", lambda *given, begin=upload._begin: (begin(*given), store.put_bytes(b"first", "a"))[0]
    )
    with pytest.raises(ObjectTaken):
        store.put_file(large, "a", only_if_absent=True)
    assert store.get_bytes("a") == b"first"


def test_a_flipped_bit_is_found_and_nothing_is_left_of_it(store, tmp_path, large):
    store.put_file(large, "a")
    flip(store, "a")
    with pytest.raises(ObjectDamaged, match="sha256"):
        store.get_file("a", tmp_path / "back" / "a")
    assert list((tmp_path / "back").iterdir()) == []


SENDER = """
import sys, time
from pathlib import Path
from orchestration.objects import store as module
from orchestration.objects.store import open_store

store = open_store(sys.argv[1])
sent = store.client.upload_part
def counted(**given):
    if len(list(Path(sys.argv[3]).iterdir())) == 3:
        time.sleep(600)
    answer = sent(**given)
    (Path(sys.argv[3]) / str(given["PartNumber"])).touch()
    return answer
store.client.upload_part = counted
import orchestration.objects.upload as upload
upload.PARALLEL = 1
store.put_file(Path(sys.argv[2]), "large")
"""


def test_an_upload_that_is_killed_goes_on_with_the_parts_that_were_sent(store, objects, large, tmp_path, monkeypatch):
    done = tmp_path / "done"
    done.mkdir()
    sender = subprocess.Popen([sys.executable, "-c", SENDER, objects, str(large), str(done)], env=os.environ)
    deadline = time.monotonic() + 60
    while len(list(done.iterdir())) < 3:
        assert sender.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sender.send_signal(signal.SIGKILL)
    sender.wait()
    assert not store.exists("large"), "half an object is none"
    again = []
    send = store.client.upload_part
    monkeypatch.setattr(
        store.client, "upload_part", lambda **given: (again.append(len(given["Body"])), send(**given))[1]
    )
    store.put_file(large, "large")
    assert sum(again) == large.stat().st_size - 3 * PART, "only what the server lacked was sent"
    store.get_file("large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    left = store.client.list_multipart_uploads(Bucket=store.bucket, Prefix=store.full("")).get("Uploads", [])
    noted = store.client.list_objects_v2(Bucket=store.bucket, Prefix=store.full(UPLOADS)).get("Contents", [])
    assert (left, noted) == ([], [])


def test_an_upload_does_not_go_on_with_another_files_parts(store, large, tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "_complete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.put_file(large, "a")
    monkeypatch.undo()
    other = tmp_path / "other"
    other.write_bytes(large.read_bytes()[:-1] + b"x")
    store.put_file(other, "a")
    store.get_file("a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == other.read_bytes()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    (made / "deep").mkdir(parents=True)
    (made / "a").write_bytes(b"a" * 1000)
    (made / "same").write_bytes(b"a" * 1000)
    (made / "deep" / "empty").write_bytes(b"")
    return made


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_back_whole_in_place_of_an_older_one(store, folder, tmp_path):
    pushed = push_folder(store, folder, "step")
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "old").write_text("old")
    assert pull_folder(store, "step", tmp_path / "back") == pushed
    assert contents(tmp_path / "back") == contents(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "made"]
    assert len(list(store.keys("step/files/"))) == 2, "the same content is one object"


def test_a_folder_without_its_manifest_is_not_there(store, folder, tmp_path, monkeypatch):
    whole = store.put_bytes
    monkeypatch.setattr(
        type(store), "put_bytes", lambda self, data, key, **how: whole(data, key, **how) if "files" in key else 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        push_folder(store, folder, "step")
    with pytest.raises(ObjectMissing, match="to its end"):
        pull_folder(store, "step", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_folder_with_a_flipped_bit_leaves_the_older_one_as_it_was(store, folder, tmp_path):
    push_folder(store, folder, "step")
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "old").write_text("old")
    flip(store, next(key for key in store.keys("step/files/") if store.get_bytes(key)))
    with pytest.raises(ObjectDamaged):
        pull_folder(store, "step", tmp_path / "back")
    assert contents(tmp_path / "back") == {(tmp_path / "back" / "old").relative_to(tmp_path / "back"): b"old"}
