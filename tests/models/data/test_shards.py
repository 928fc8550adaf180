"""Shards: right pixels, nothing half-made, nothing rewritten, every byte accounted for."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from models.data import WriteError
from models.data.shards import ClipShards, ShardError, build_shards
from models.data.sources import SourceError
from models.data.video import Limits, write_lossless

from .clips import folder_bytes, make_row, rectangles, write_manifest

OPTIONS = {"size": 16, "clips_per_shard": 3}
SPLIT = ("train", "heldout", "train")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Ten rows: trained and held out mixed, one film of several windows, one that cannot be read."""
    folder = tmp_path_factory.mktemp("raw")
    rows = [make_row(folder, f"c{k}", seed=k, split=SPLIT[k % 3], masks=k % 2 == 0) for k in range(8)]
    rows[0] |= {"caption": "a bar", "directions": ["right", "right"]}
    rows.insert(5, make_row(folder, "long", seed=50, frames=60, windows=2, height=24, width=48))
    rows.insert(3, make_row(folder, "broken", seed=51))
    (folder / "clips/broken.mkv").write_bytes((folder / "clips/c0.mkv").read_bytes()[:900])
    write_manifest(folder, rows)
    return folder, rows


@pytest.fixture(scope="module")
def built(raw, tmp_path_factory):
    out = tmp_path_factory.mktemp("built")
    return out, build_shards(raw[0], out, **OPTIONS)


def ingest_again_with(raw, rows, tmp_path):
    """A copy of the raw folder under another manifest."""
    folder = tmp_path / "raw"
    if not folder.exists():
        shutil.copytree(raw[0], folder)
    return write_manifest(folder, rows)


def test_report_index_and_quarantine(built):
    out, report = built
    assert (report.clips, report.added, report.quarantined, report.shards_written) == (10, 10, 1, 4)
    index = ClipShards(out).index.set_index("clip_id")
    assert index.loc["c0", ["caption", "direction_first", "n_shapes", "has_masks"]].tolist() == [
        "a bar",
        "right",
        1,
        True,
    ]
    assert index.loc["c1", "n_shapes"] == 0
    assert not index.loc["c1", "has_masks"]
    assert index.loc["long#1", ["source_height", "source_width", "source_frames", "stride"]].tolist() == [24, 48, 60, 2]
    assert index.loc["long#1", "fps"] == 4
    (aside,) = pq.read_table(out / "quarantine.parquet").to_pylist()
    assert (aside["clip_id"], aside["source_path"]) == ("broken", "clips/broken.mkv")
    assert "truncated" in aside["reason"]


def test_a_shard_holds_one_split_and_at_most_its_number_of_clips(built):
    shards = ClipShards(built[0])
    by_shard = shards.index.groupby("shard")
    assert (by_shard["split"].nunique() == 1).all()
    assert by_shard.size().max() == 3
    assert shards.ids("heldout") == ["c1", "c4", "c7"]
    assert sorted(shards.ids()) == sorted(shards.ids("train") + shards.ids("heldout"))


def test_frames_are_those_of_the_file_whatever_the_order_asked(raw, tmp_path):
    build_shards(raw[0], tmp_path, size=32, clips_per_shard=3)
    shards = ClipShards(tmp_path)
    frames, masks = shards.frames(["c6", "c1", "c6"]), shards.masks(["c6", "c1"])
    assert np.array_equal(frames, np.stack([rectangles(k)[0] for k in (6, 1, 6)]))
    assert np.array_equal(masks[0], rectangles(6)[1])
    assert not masks[1].any()


def test_windows_are_strided_disjoint_and_cropped_to_the_centre(raw, tmp_path):
    build_shards(raw[0], tmp_path, size=24, clips_per_shard=4)
    shards, film = ClipShards(tmp_path), rectangles(50, 60, 24, 48)[0]
    assert np.array_equal(shards.frames(["long#0"])[0], film[6:23:2, :, 12:36])
    assert np.array_equal(shards.frames(["long#1"])[0], film[36:53:2, :, 12:36])


def test_masks_follow_their_frames(tmp_path):
    data = tmp_path / "raw"
    write_manifest(data, [make_row(data, "a", seed=3, frames=30, height=16, width=32, masks=True)])
    build_shards(data, tmp_path / "out", size=16, stride=3)
    taken = slice(2, 27, 3)
    assert np.array_equal(ClipShards(tmp_path / "out").masks(["a"])[0], rectangles(3, 30, 16, 32)[1][taken, :, 8:24])


def test_clips_that_do_not_fit_are_set_aside_and_others_go_on(tmp_path):
    data = tmp_path / "raw"
    rows = [
        make_row(data, name, seed=k, masks=True) for k, name in enumerate(("good", "long", "shape", "pickle", "cut"))
    ]
    write_lossless(data / "clips/long.mkv", rectangles(1, 40)[0])
    np.save(data / "clips/shape.npy", np.zeros((9, 8, 8), np.uint8))
    np.save(data / "clips/pickle.npy", np.array([{"no": "code"}]), allow_pickle=True)
    (data / "clips/cut.npy").write_bytes((data / "clips/good.npy").read_bytes()[:200])
    report = build_shards(write_manifest(data, rows), tmp_path / "out", size=16, limits=Limits(max_frames=20))
    reasons = {q["clip_id"]: q["reason"] for q in pq.read_table(tmp_path / "out/quarantine.parquet").to_pylist()}
    assert report.clips == 1
    assert set(reasons) == {"long", "shape", "pickle", "cut"}
    assert "too large: more than 20 frames" in reasons["long"]
    assert "masks are uint8 [9, 8, 8]" in reasons["shape"]
    assert "masks unreadable" in reasons["pickle"]
    assert "masks unreadable" in reasons["cut"]


def test_no_usable_clip_is_one_clear_line_and_no_index(tmp_path):
    data = tmp_path / "raw"
    row = make_row(data, "a")
    (data / "clips/a.mkv").write_bytes(b"no film")
    with pytest.raises(ShardError, match=r"none of 1 clips is usable .*clips/a.mkv: unreadable") as caught:
        build_shards(write_manifest(data, [row]), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["quarantine.parquet"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"no usable row"):
        build_shards(tmp_path / "empty", tmp_path / "out")


def test_the_same_bytes_every_time_and_nothing_done_twice(raw, built, tmp_path):
    build_shards(raw[0], tmp_path / "out", **OPTIONS)
    before = folder_bytes(built[0])
    assert folder_bytes(tmp_path / "out") == before
    written = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("shard-*")}
    report = build_shards(raw[0], tmp_path / "out", **OPTIONS)
    assert (report.added, report.shards_written) == (0, 0)
    assert folder_bytes(tmp_path / "out") == before
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("shard-*")} == written


@settings(max_examples=8, deadline=None)
@given(st.sets(st.integers(0, 9)))
def test_however_the_manifest_is_split_into_two_ingests_the_clips_are_the_same(raw, built, tmp_path_factory, picked):
    tmp_path = tmp_path_factory.mktemp("split")
    rows, whole = raw[1], ClipShards(built[0])
    first = [rows[k] for k in sorted(picked | {0})]
    data, out = ingest_again_with(raw, first, tmp_path), tmp_path / "out"
    build_shards(data, out, **OPTIONS)
    before = folder_bytes(out)
    build_shards(write_manifest(data, rows), out, **OPTIONS)
    after, shards = folder_bytes(out), ClipShards(out)
    assert all(after[name] == data for name, data in before.items() if name.startswith("shard-"))
    ids = sorted(whole.ids())
    assert sorted(shards.ids()) == ids
    assert sorted(shards.ids("heldout")) == sorted(whole.ids("heldout"))
    assert np.array_equal(shards.frames(ids), whole.frames(ids))
    assert np.array_equal(shards.masks(ids), whole.masks(ids))
    assert shards.verify() == len(ids)


KILLED = """
import os, signal, sys
from pathlib import Path
from models.data.shards import build_shards
def die_at(calls, real):
    def call(*args):
        calls[0] -= 1
        if not calls[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)
    return call
where, calls = sys.argv[3], [int(sys.argv[4])]
progress = lambda *_: None
if where == "decode":
    progress = die_at(calls, progress)
elif where == "synced":
    os.fsync = die_at(calls, os.fsync)
elif where == "renamed":
    Path.replace = die_at(calls, Path.replace)
build_shards(Path(sys.argv[1]), Path(sys.argv[2]), size=16, clips_per_shard=3, progress=progress)
"""


@pytest.mark.parametrize(("where", "calls"), [("decode", 8), ("synced", 5), ("renamed", 3)])
def test_killed_and_run_again_ends_as_if_never_killed(raw, built, tmp_path, where, calls):
    command = [sys.executable, "-c", KILLED, str(raw[0]), str(tmp_path), where, str(calls)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    left = folder_bytes(tmp_path)
    assert "shard-00000.safetensors" in left
    assert left != folder_bytes(built[0])
    build_shards(raw[0], tmp_path, **OPTIONS)
    assert folder_bytes(tmp_path) == folder_bytes(built[0])


@pytest.mark.parametrize("failing", range(1, 8))
def test_a_full_disk_at_any_write_leaves_nothing_half_written(raw, built, tmp_path, monkeypatch, failing):
    real, calls = os.fsync, [failing]

    def fsync(descriptor):
        calls[0] -= 1
        if not calls[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(WriteError, match=r"No space left on device; nothing half-written is kept: make room"):
            build_shards(raw[0], tmp_path, **OPTIONS)
    assert not list(tmp_path.glob("*.part"))
    if (tmp_path / "index.parquet").exists():
        ClipShards(tmp_path).verify()
    build_shards(raw[0], tmp_path, **OPTIONS)
    assert folder_bytes(tmp_path) == folder_bytes(built[0])


def test_a_file_size_limit_met_in_the_middle_of_a_shard(raw, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(WriteError, match=r"shard-00000.safetensors: File too large"):
            build_shards(raw[0], tmp_path, **OPTIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ShardError, match=r"index.parquet: not there"):
        ClipShards(tmp_path)


@pytest.mark.parametrize("change", ["film", "masks", "caption", "split"])
def test_a_known_clip_that_changed_is_an_error_before_anything_is_written(raw, tmp_path, change):
    rows = [dict(row) for row in raw[1]]
    data, out = ingest_again_with(raw, rows, tmp_path), tmp_path / "out"
    build_shards(data, out, **OPTIONS)
    before = folder_bytes(out)
    what = {"film": "sha256", "masks": "masks_sha256"}.get(change, change)
    if change == "film":
        write_lossless(data / "clips/c0.mkv", rectangles(99)[0])
    elif change == "masks":
        np.save(data / "clips/c0.npy", rectangles(99)[1])
    else:
        rows[0][change] = "heldout"
    rows.append({**rows[1], "id": "new"})
    with pytest.raises(
        ShardError, match=rf"'c0' \(clips/c0.mkv\): its {what} changed.* give it an id of its own, or remove"
    ):
        build_shards(write_manifest(data, rows), out, **OPTIONS)
    assert folder_bytes(out) == before


def test_other_settings_are_refused(raw, built):
    told = "made with frames 9, size 16, stride 2, asked for frames 9, size 32, stride 2"
    with pytest.raises(ShardError, match=told):
        build_shards(raw[0], built[0], size=32, clips_per_shard=3)


def test_clips_gone_from_the_manifest_stay_and_it_says_so(raw, tmp_path):
    data, out = ingest_again_with(raw, raw[1], tmp_path), tmp_path / "out"
    build_shards(data, out, **OPTIONS)
    report = build_shards(write_manifest(data, raw[1][:4]), out, **OPTIONS)
    assert report.clips == 10
    assert "6 films" in report.notes[1]


def test_a_plain_folder_keeps_the_split_of_its_first_ingest(tmp_path):
    data, out = tmp_path / "raw", tmp_path / "out"
    data.mkdir()
    for k in range(2):
        write_lossless(data / f"{k}.mkv", rectangles(k)[0])
    build_shards(data, out, size=16)
    before = ClipShards(out).index.set_index("clip_id")["split"]
    assert sorted(before) == ["heldout", "train"]
    for k in range(2, 12):
        write_lossless(data / f"{k}.mkv", rectangles(k)[0])
    report = build_shards(data, out, size=16)
    after = ClipShards(out).index.set_index("clip_id")["split"]
    assert report.added == 10
    assert "no manifest" in report.notes[0]
    assert after[before.index].equals(before)


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "swapped"])
def test_verify_sees_damage(built, tmp_path, damage):
    out = tmp_path / "out"
    shutil.copytree(built[0], out)
    assert ClipShards(out).verify() == 10
    path = out / "shard-00001.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "swapped":
        data = (out / "shard-00000.safetensors").read_bytes()
    path.write_bytes(data[:-1] if damage == "cut" else data)
    if damage == "missing":
        path.unlink()
    with pytest.raises(ShardError, match=r"shard-00001.safetensors: (not the bytes|missing)"):
        ClipShards(out).verify()


def test_a_shard_without_the_clips_that_the_index_names_is_told(built, tmp_path):
    shutil.copytree(built[0], tmp_path / "out")
    shards = ClipShards(tmp_path / "out")
    shard = next(iter(shards.shard_sha256))
    empty = {"frames": np.zeros((0, 9, 16, 16, 3), np.uint8), "masks": np.zeros((0, 9, 16, 16), np.uint8)}
    save_file(empty, tmp_path / "out" / shard)
    with pytest.raises(ShardError, match=r"a shard cannot be read \(.*out of bounds.*\); remove it all, ingest again"):
        shards.frames(shards.ids_of(shard))
    with pytest.raises(ShardError, match=rf"{shard}: not the bytes that were written"):
        shards.verify()


def test_a_damaged_index_and_an_unknown_clip_are_told(built, tmp_path):
    with pytest.raises(ShardError, match=r"no clip 'nobody'"):
        ClipShards(built[0]).frames(["c0", "nobody"])
    shutil.copytree(built[0], tmp_path / "out")
    (tmp_path / "out/index.parquet").write_bytes(b"PAR1")
    with pytest.raises(ShardError, match=r"index.parquet: unreadable"):
        ClipShards(tmp_path / "out")
