"""There and back: what a worker elsewhere is given, what it refuses, and what the home holds afterwards."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from models.data.features import FeatureStore, extract
from models.data.generated import write_dataset
from models.data.shards import ClipShards, build_shards
from orchestration.data.workspace import Workspace
from orchestration.dispatch import bundle as bundles
from orchestration.dispatch import partial, scratch
from orchestration.dispatch.bundle import Bundle, BundleError, place, read
from orchestration.dispatch.parcels import JobParcel
from orchestration.home import REPOSITORY, Home
from orchestration.jobs import JobError
from orchestration.objects import store as stores
from orchestration.objects.extractions import pull_extraction
from tests.orchestration.dispatch.stores import Memory
from tests.orchestration.test_worker import job as any_job

WORK = "moving_shapes/phase1/0123456789ab"


@pytest.fixture
def store(monkeypatch) -> Memory:
    memory = Memory()
    monkeypatch.setenv("FORESIGHT_OBJECTS", "s3://bucket/programme")
    monkeypatch.setattr(stores, "open_store", lambda url: memory)
    monkeypatch.setattr(Workspace, "pull", lambda self, stages: None)
    return memory


@pytest.fixture
def parcel(tmp_path, store) -> JobParcel:
    """A training that starts from a checkpoint of the phase before."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    before = home.run("moving_shapes", "phase0")
    before.mkdir(parents=True)
    (before / "result.json").write_text("{}")
    workspace = home.workspace("moving_shapes")
    workspace.mkdir(parents=True)
    (workspace / "params.yaml").write_text("clips: {}\n")
    job = any_job(
        tmp_path,
        home=home.root,
        workspace=workspace,
        out=home.run("moving_shapes", "phase1"),
        inputs={"phase0": before},
        input_fingerprints={"phase0": "ff"},
        data_versions={},
        weights={},
    )
    return JobParcel(WORK, job)


class Stage:
    """Writes a result and remembers where it stood."""

    def __call__(self, stage, path, reporter):
        said = json.loads(path.read_text())
        self.home, self.params = Path(said["home"]), Path("params.yaml").read_text()
        self.input = (Path(said["inputs"]["phase0"]) / "result.json").read_text()
        figure = Path(said["out"]) / "figures" / "loss.png"
        figure.parent.mkdir()
        figure.write_bytes(b"png")
        self.allowed = said["allowed_s"]
        return {"pictures": [str(figure)], "numbers": {"loss": 0.5}}


def test_the_home_looks_afterwards_as_if_the_worker_had_stood_in_it(parcel, store):
    assert parcel.result() is None
    key, stage = parcel.send("a1", 60.0), Stage()
    scratch.run("phase1", key, None, stage)
    assert (stage.params, stage.input) == ("clips: {}\n", "{}")
    assert 0 < stage.allowed < 60, "what laying out took is gone"
    assert not stage.home.exists(), "nothing of it stays on the worker"
    done = parcel.result()
    figure = parcel.job.out / "figures" / "loss.png"
    assert figure.read_bytes() == b"png"
    assert done.result == {"pictures": [str(figure)], "numbers": {"loss": 0.5}}
    assert store.put[-1] == place(WORK, "done.json"), "the final message comes last"
    sent = json.loads(store.held[place(WORK, "result", "manifest.json")])["files"]
    assert list(sent) == ["moving_shapes/phase1/figures/loss.png"], "nothing goes back as it came, nor the job"


def test_an_input_is_sent_once_for_all_who_start_from_it_and_again_where_it_was_lost(parcel, store):
    parcel.send("a1", 60.0)
    files = [key for key in store.put if "/files/" in key]
    store.put.clear()
    parcel.send("a2", 60.0)
    assert not [key for key in store.put if "/files/" in key]
    store.remove(files[0])
    parcel.send("a3", 60.0)
    assert [key for key in store.put if "/files/" in key] == files[:1]


def test_the_first_final_message_stands(parcel, store):
    key = parcel.send("a1", 60.0)
    scratch.run("phase1", key, None, Stage())
    first = store.held[place(WORK, "done.json")]
    scratch.run("phase1", key, None, Stage())
    assert store.held[place(WORK, "done.json")] == first


def test_a_process_that_has_done_its_work_is_not_ended_later(parcel, store):
    before = dict(os.environ)
    scratch.run("phase1", parcel.send("a1", 60.0), None, Stage())
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert os.environ == before


def test_a_worker_that_dies_before_its_final_message_leaves_no_result(parcel, store):
    def dies(stage, path, reporter):
        raise MemoryError

    with pytest.raises(MemoryError):
        scratch.run("phase1", parcel.send("a1", 60.0), None, dies)
    assert parcel.result() is None


def test_a_worker_of_other_source_refuses(parcel, store, monkeypatch):
    key = parcel.send("a1", 60.0)
    monkeypatch.setattr(bundles, "code", lambda: "other")
    with pytest.raises(BundleError, match="run both from the same image"):
        scratch.run("phase1", key, None, Stage())


def test_a_worker_with_other_weights_refuses(parcel, store):
    other = JobParcel(WORK, parcel.job.model_copy(update={"weights": {"vae": "0" * 64}}))
    with pytest.raises(BundleError, match="weights of vae"):
        scratch.run("phase1", other.send("a1", 60.0), None, Stage())


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", ""])
def test_a_bundle_whose_files_climb_out_of_the_home_is_refused(path):
    said = {"work": WORK, "stage": "phase1", "code": "c", "workspace": "data/x", "files": {path: "x"}, "pull": []}
    with pytest.raises(BundleError, match="does not lie in the home"):
        read(json.dumps(said).encode(), "key")


@pytest.mark.parametrize("field", ["out", "workspace", "inputs"])
@pytest.mark.parametrize("way", ["../beside", "/beside"])
def test_a_bundle_whose_job_climbs_out_of_the_home_is_refused_before_anything_is_written(
    parcel, store, tmp_path, monkeypatch, field, way
):
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    key = parcel.send("a1", 60.0)
    said = json.loads(store.held[key])
    place_of = f"{tmp_path}{way}" if way.startswith("/") else f"{said['job']['home']}/{way}"
    said["job"][field] = {"phase0": place_of} if field == "inputs" else place_of
    store.held[key] = json.dumps(said).encode()
    with pytest.raises(JobError, match=r"lies outside (its|the job's) home"):
        scratch.run("phase1", key, None, Stage())
    assert not list((tmp_path / "scratch").iterdir())


def test_a_bundle_of_another_stage_is_refused(parcel, store):
    with pytest.raises(BundleError, match="not of phase2"):
        scratch.run("phase2", parcel.send("a1", 60.0), None, Stage())


def test_a_bundle_says_where_it_is_wrong():
    with pytest.raises(BundleError, match=r"key: work"):
        read(b"{}", "key")
    assert Bundle.model_config["extra"] == "forbid"


HANGS = """
import signal, time
from orchestration.dispatch.scratch import _ended_after
for name in (signal.SIGTERM, signal.SIGINT):
    signal.signal(name, signal.SIG_IGN)
with _ended_after(0.5):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


def test_a_worker_that_hangs_and_catches_everything_ends_at_its_longest_runtime():
    done = subprocess.run([sys.executable, "-c", HANGS], cwd=REPOSITORY, timeout=60, check=False)
    assert done.returncode == -14


def checkpoint(out: Path, run: str, step: int) -> None:
    """What a training leaves at a step: the history first, and the folder under its name only when it is whole."""
    folder = out / run / "checkpoints" / f".writing-{step:08d}"
    folder.mkdir(parents=True)
    content = f"weights at {step}".encode()
    (folder / "model.safetensors").write_bytes(content)
    files = {"model.safetensors": hashlib.sha256(content).hexdigest()}
    (folder / "state.json").write_text(json.dumps({"step": step, "files": files}))
    (out / run / "history.jsonl").write_text("{}\n" * step)
    folder.rename(folder.with_name(f"step-{step:08d}"))


@pytest.mark.parametrize("run", ["", "arms/hybrid"])
def test_another_worker_goes_on_at_the_newest_whole_checkpoint(tmp_path, store, run, monkeypatch):
    monkeypatch.setattr(partial, "LOOK_S", 0.01)
    out, prefix = tmp_path / "lost", place(WORK, "partial")
    with partial.kept(store, prefix, out):
        for step in (2, 4, 6):
            checkpoint(out, run, step)
    (out / run / "checkpoints" / ".writing-00000008").mkdir()
    [found] = partial.fetch(store, prefix, tmp_path / "next")
    assert found == tmp_path / "next" / run / "checkpoints" / "step-00000006"
    assert (found / "model.safetensors").read_bytes() == b"weights at 6"
    assert len((tmp_path / "next" / run / "history.jsonl").read_text().splitlines()) >= 6
    kept = {key.split("checkpoints/")[1].split("/")[0] for key in store.keys(prefix) if "checkpoints" in key}
    assert kept == {"step-00000004", "step-00000006"}


def test_a_checkpoint_that_came_from_s3_is_not_sent_there_again(tmp_path, store, monkeypatch):
    monkeypatch.setattr(partial, "LOOK_S", 0.01)
    checkpoint(tmp_path, "", 2)
    with partial.kept(store, "partial", tmp_path):
        pass
    assert store.put == []


def test_what_a_killed_worker_left_on_its_disk_goes_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import time; from orchestration.dispatch.scratch import scratch_home\n"
        "with scratch_home() as home: print(home.root, flush=True); time.sleep(60)"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        dead, works = (Path(worker.stdout.readline().strip()) for worker in workers)
        (dead / "clips").write_bytes(b"many")
        workers[0].kill()
        workers[0].wait()
        with scratch.scratch_home() as home:
            assert home.root.is_dir()
            assert not dead.exists()
            assert works.is_dir()
        assert not home.root.exists()
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_a_look_that_fails_is_not_the_last(tmp_path, store, monkeypatch):
    monkeypatch.setattr(partial, "LOOK_S", 0.01)
    looked, real = [], partial._send_checkpoints

    def vanishing(*given):
        looked.append(given)
        if len(looked) == 1:
            raise FileNotFoundError("a folder that went while it was read")
        real(*given)

    monkeypatch.setattr(partial, "_send_checkpoints", vanishing)
    with partial.kept(store, "partial", tmp_path / "lost"):
        checkpoint(tmp_path / "lost", "", 2)
        while len(looked) < 2:
            time.sleep(0.01)
    assert partial.fetch(store, "partial", tmp_path / "next")


ENCODER = {"name": "toy", "fingerprint": "f", "weights_sha256": "w", "standin": True}


@pytest.fixture
def clips(tmp_path) -> ClipShards:
    write_dataset(tmp_path / "raw", 12, 0, 0, frames=9, size=32)
    build_shards(tmp_path / "raw", tmp_path / "shards", frames=9, size=32, clips_per_shard=4)
    return ClipShards(tmp_path / "shards")


def extracted(clips: ClipShards, folder: Path, *, dies_after: int = 100) -> int:
    """Clips encoded; the encoder ends, as a lost machine does, once it has seen so many calls."""
    calls = itertools.count()

    def encode(frames):
        if next(calls) >= dies_after:
            raise InterruptedError
        return {"tokens": frames[:, 0, :2, :2, 0].astype(np.float16)}

    return extract(clips, folder, encode, batch=4, **ENCODER)


def test_another_worker_encodes_only_what_a_lost_one_had_not(tmp_path, store, clips, monkeypatch):
    monkeypatch.setattr(partial, "LOOK_S", 0.01)
    with pytest.raises(InterruptedError), partial.kept_extraction(store, "partial", tmp_path / "lost"):
        extracted(clips, tmp_path / "lost", dies_after=2)
    assert pull_extraction(store, "partial", tmp_path / "next") == 2
    with partial.kept_extraction(store, "partial", tmp_path / "next"):
        assert extracted(clips, tmp_path / "next") == 4
    FeatureStore(tmp_path / "next", clips).verify()
    sent = [key for key in store.put if "/files/" in key]
    assert len(sent) == len(set(sent)) == 3, "nothing is sent twice"
    partial.forget(store, "partial")
    assert not list(store.keys("partial"))


def test_a_damaged_file_of_a_lost_extraction_costs_its_clips_alone(tmp_path, store, clips):
    with partial.kept_extraction(store, "partial", tmp_path / "lost"):
        extracted(clips, tmp_path / "lost")
    damaged, gone, _ = store.keys("partial/files/")
    store.held[damaged] += b"!"
    store.remove(gone)
    assert pull_extraction(store, "partial", tmp_path / "next") == 1
    assert extracted(clips, tmp_path / "next") == 8
    FeatureStore(tmp_path / "next", clips).verify()


def test_where_nothing_was_kept_an_extraction_starts_at_its_first_clip(tmp_path, store):
    assert pull_extraction(store, "partial", tmp_path / "next") == 0
    assert not (tmp_path / "next").exists()
