"""Features: the right rows for a clip, made once, never another encoder's, damage seen."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from models.data import WriteError, features, write_durably
from models.data.features import FeatureError, FeatureStore, extract
from models.data.shards import ClipShards, build_shards

from .clips import folder_bytes, make_row, write_manifest

WHOSE = {"name": "toy", "fingerprint": "f" * 64, "weights_sha256": "w" * 64, "standin": True}
POSITIONS = np.linspace(0, 1, 16, dtype=np.float32).reshape(8, 2)


def encode(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Mean colour of every other frame, and the frame's sum to tell clips apart."""
    tokens = frames[:, ::2].reshape(len(frames), 5, 8, -1).mean(-1, keepdims=True) / 255
    return {"tokens": tokens, "positions": POSITIONS, "total": frames.sum((1, 2, 3, 4), dtype=np.int64)}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = [make_row(folder / "raw", f"c{k}", seed=k, split="heldout" if k % 3 == 1 else "train") for k in range(8)]
    build_shards(write_manifest(folder / "raw", rows), folder / "shards", size=16, clips_per_shard=3)
    return ClipShards(folder / "shards")


@pytest.fixture(scope="module")
def extracted(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    assert extract(shards, folder, encode, batch=2, **WHOSE) == 8
    return folder


def test_rows_belong_to_their_clips_in_the_order_asked(shards, extracted):
    store, ids = FeatureStore(extracted, shards, WHOSE["fingerprint"]), ["c7", "c0", "c4", "c0"]
    expected = encode(shards.frames(ids))
    assert store.read(ids).dtype == np.float16
    assert np.array_equal(store.read(ids), expected["tokens"].astype(np.float16))
    assert np.array_equal(store.read(ids, "total"), expected["total"])
    assert np.array_equal(store.read(ids, "positions"), POSITIONS.astype(np.float16))
    assert store.names() == ["positions", "tokens", "total"]


def test_store_tells_whose_features_these_are(shards, extracted):
    document = json.loads((extracted / "store.json").read_text())
    assert {key: document[key] for key in WHOSE} == WHOSE
    assert document["dtype"] == "float16"
    assert document["encoder"] == "toy"
    assert document["sources"] == shards.shard_sha256
    assert FeatureStore(extracted, shards).verify() == 3


def test_the_same_bytes_whatever_the_batch(shards, extracted, tmp_path):
    extract(shards, tmp_path, encode, batch=3, **WHOSE)
    assert folder_bytes(tmp_path) == folder_bytes(extracted)


def test_only_new_clips_are_encoded(tmp_path):
    raw, seen = tmp_path / "raw", []

    def counting(frames):
        seen.append(len(frames))
        return encode(frames)

    rows = [make_row(raw, f"c{k}", seed=k) for k in range(4)]
    build_shards(write_manifest(raw, rows), tmp_path / "shards", size=16, clips_per_shard=2)
    extract(ClipShards(tmp_path / "shards"), tmp_path / "features", counting, **WHOSE)
    before = folder_bytes(tmp_path / "features")
    rows += [make_row(raw, f"n{k}", seed=9 + k) for k in range(3)]
    build_shards(write_manifest(raw, rows), tmp_path / "shards", size=16, clips_per_shard=2)
    shards = ClipShards(tmp_path / "shards")
    with pytest.raises(FeatureError, match=r"no features of shard-00002.safetensors as it is now; extract again"):
        FeatureStore(tmp_path / "features", shards).read(["c0", "n0"])
    with pytest.raises(FeatureError, match=r"2 shards have none"):
        FeatureStore(tmp_path / "features", shards).verify()
    assert extract(shards, tmp_path / "features", counting, **WHOSE) == 3
    assert sum(seen) == 7
    after = folder_bytes(tmp_path / "features")
    assert all(after[name] == data for name, data in before.items() if name != "store.json")
    assert len(FeatureStore(tmp_path / "features", shards).read(["c0", "n0"])) == 2


def test_features_of_changed_shards_are_made_again(shards, extracted, tmp_path):
    shutil.copytree(extracted, tmp_path / "features")
    raw = tmp_path / "raw"
    rows = [make_row(raw, f"c{k}", seed=100 + k, split="heldout" if k % 3 == 1 else "train") for k in range(8)]
    build_shards(write_manifest(raw, rows), tmp_path / "shards", size=16, clips_per_shard=3)
    others = ClipShards(tmp_path / "shards")
    assert extract(others, tmp_path / "features", encode, **WHOSE) == 8
    totals = FeatureStore(tmp_path / "features", others).read(["c3"], "total")
    assert totals == encode(others.frames(["c3"]))["total"] != encode(shards.frames(["c3"]))["total"]


def test_another_encoders_features_are_refused_to_reader_and_writer(shards, extracted):
    before = folder_bytes(extracted)
    other = "0" * 64
    with pytest.raises(
        FeatureError, match=r"features of another encoder: toy ffffffffffff, expected 000000000000; remove"
    ):
        FeatureStore(extracted, shards, other)
    with pytest.raises(FeatureError, match=r"features of another encoder"):
        extract(shards, extracted, encode, **{**WHOSE, "fingerprint": other})
    assert folder_bytes(extracted) == before


@pytest.mark.parametrize("damage", ["flip", "missing"])
def test_verify_sees_damage_and_removing_the_file_mends_it(shards, extracted, tmp_path, damage):
    folder = tmp_path / "features"
    shutil.copytree(extracted, folder)
    path = folder / "shard-00001.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    if damage == "missing":
        path.unlink()
    with pytest.raises(FeatureError, match=r"shard-00001.safetensors: missing, or not the bytes"):
        FeatureStore(folder, shards).verify()
    path.unlink(missing_ok=True)
    extract(shards, folder, encode, **WHOSE)
    assert folder_bytes(folder) == folder_bytes(extracted)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda n: {"tokens": np.full((n, 2), 1e6)}, "tokens is not finite in fp16 in c0"),
        (lambda n: {"tokens": np.full((n, 2), np.nan)}, "tokens is not finite"),
        (lambda n: {"tokens": np.zeros((n + 1, 2))}, r"tokens is \[3, 2\] for 2 clips"),
        (
            lambda n: {"tokens": np.zeros((n, 2)), "positions": np.random.default_rng().random((4, 2))},
            "positions differ",
        ),
    ],
)
def test_what_cannot_be_stored_is_refused_and_leaves_no_file(shards, tmp_path, made, reason):
    with pytest.raises(FeatureError, match=reason):
        extract(shards, tmp_path, lambda frames: made(len(frames)), batch=2, **WHOSE)
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
from models.data.features import extract
from models.data.shards import ClipShards
from tests.models.data.test_features import WHOSE, encode
calls, real = [int(sys.argv[3])], Path.replace
def replace(*args):
    calls[0] -= 1
    if not calls[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
Path.replace = replace
extract(ClipShards(Path(sys.argv[1])), Path(sys.argv[2]), encode, batch=2, **WHOSE)
"""


@pytest.mark.parametrize("renames", [3, 4])
def test_a_kill_costs_only_the_shards_in_hand(shards, extracted, tmp_path, renames):
    """Killed before the second file is renamed (3), and before the store names it (4)."""
    command = [sys.executable, "-c", KILLED, str(shards.folder), str(tmp_path), str(renames)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert list(json.loads((tmp_path / "store.json").read_text())["shards"]) == ["shard-00000.safetensors"]
    first = len(shards.ids_of("shard-00000.safetensors"))
    assert extract(shards, tmp_path, encode, **WHOSE) == 8 - first
    assert folder_bytes(tmp_path) == folder_bytes(extracted)


def test_no_store_and_a_damaged_store_are_told(shards, extracted, tmp_path):
    with pytest.raises(FeatureError, match=r"store.json: not there; extract the features first"):
        FeatureStore(tmp_path, shards)
    (tmp_path / "store.json").write_text('{"name": "toy"')
    with pytest.raises(FeatureError, match=r"store.json: unreadable"):
        FeatureStore(tmp_path, shards)
    with pytest.raises(FeatureError, match=r"no clip 'nobody'"):
        FeatureStore(extracted, shards).read(["nobody"])


def test_reading_opens_no_file_twice(shards, extracted):
    """Memory-mapped and opened once: fifty reads leave no more open than one."""
    store, descriptors = FeatureStore(extracted, shards), Path("/proc/self/fd")
    store.read(["c0", "c5", "c7"])
    before = len(list(descriptors.iterdir()))
    for _ in range(50):
        store.read(["c0", "c5", "c7"])
    assert len(list(descriptors.iterdir())) == before


def test_extraction_maps_one_shard_at_a_time(shards, tmp_path, monkeypatch):
    """Pages read of a mapped shard count as memory: with all of them mapped it would grow with the data."""
    seen, read = [], shards.frames

    def reading(ids):
        frames = read(ids)
        maps = Path("/proc/self/maps").read_text().splitlines()
        seen.append({line.split()[-1] for line in maps if str(shards.folder) in line})
        return frames

    monkeypatch.setattr(shards, "frames", reading)
    extract(shards, tmp_path / "features", encode, batch=2, **WHOSE)
    assert len(set.union(*seen)) == len(shards.shard_sha256)
    assert max(map(len, seen)) == 1


def test_the_encoder_does_not_wait_for_the_disk(shards, tmp_path, monkeypatch):
    """A shard is written while the next is encoded: here its writing waits for just that."""
    calls, next_shard = [], threading.Event()

    def encoding(frames):
        calls.append(len(frames))
        if sum(calls) > len(shards.ids_of("shard-00000.safetensors")):
            next_shard.set()
        return encode(frames)

    def writing(path, data):
        assert next_shard.wait(10)
        return write_durably(path, data)

    monkeypatch.setattr(features, "write_durably", writing)
    assert extract(shards, tmp_path / "features", encoding, batch=2, **WHOSE) == 8
    assert FeatureStore(tmp_path / "features", shards).verify() == 3


def test_a_disk_that_refuses_ends_the_extraction(shards, tmp_path, monkeypatch):
    """Also where it is full at the last shard: nothing may end well that was not stored."""

    def full(path, data):
        if path.name == list(shards.shard_sha256)[-1]:
            raise WriteError(f"{path}: No space left on device")
        return write_durably(path, data)

    monkeypatch.setattr(features, "write_durably", full)
    with pytest.raises(WriteError, match="No space left"):
        extract(shards, tmp_path / "features", encode, **WHOSE)
    assert FeatureStore(tmp_path / "features", shards).missing == [list(shards.shard_sha256)[-1]]


def test_the_size_is_told_after_each_file_and_at_the_start_of_a_second_go(shards, tmp_path):
    told = []

    def stop_after_two(*sizes):
        told.append(sizes)
        if len(told) == 2:
            raise RuntimeError("too large")

    with pytest.raises(RuntimeError, match="too large"):
        extract(shards, tmp_path, encode, measured=stop_after_two, **WHOSE)
    assert [sizes[2] for sizes in told] == [8, 8]
    assert told[0][1] < told[1][1] < 8
    done = [path for path in tmp_path.glob("*.safetensors") if path.name in FeatureStore(tmp_path, shards).store.shards]
    assert told[1][0] == sum(path.stat().st_size for path in done)
    second = []
    extract(shards, tmp_path, encode, measured=lambda *sizes: second.append(sizes), **WHOSE)
    assert second[0] == told[1]
    assert second[-1][1:] == (8, 8)
