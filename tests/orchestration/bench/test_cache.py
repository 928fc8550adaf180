"""`foresight bench cache`: int8 beside the fp16 features of a home, which it never writes into."""

import json

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from models.data.features import FeatureStore, extract
from models.data.shards import ClipShards, build_shards
from orchestration.bench.cache import measure, open_store
from orchestration.bench.cache_effect import int8_reader, on_phase1
from orchestration.cli.bench import bench_app
from orchestration.home import Home
from orchestration.jobs import Job, JobError
from orchestration.profile import load
from tests.models.data.clips import folder_bytes, make_row, write_manifest

DATA = "moving_shapes"
WHOSE = {"name": "dinov2", "fingerprint": "f" * 64, "weights_sha256": "w" * 64, "standin": True}
app = typer.Typer()
app.add_typer(bench_app, name="bench")


def encode(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Colours of every other frame as [n, 5, 64, 12]."""
    tokens = frames[:, ::2].reshape(len(frames), 5, 64, 12).astype(np.float32) / 255
    return {"tokens": tokens, "positions": np.zeros((64, 2))}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    """A home that holds shards and fp16 features of seven clips."""
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    made = Home.find()
    root = made.workspace(DATA)
    rows = [make_row(tmp_path / "raw", f"c{k}", seed=k, split="heldout" if k > 4 else "train") for k in range(7)]
    build_shards(write_manifest(tmp_path / "raw", rows), root / "shards", size=16, clips_per_shard=3)
    extract(ClipShards(root / "shards"), root / "features" / "dinov2", encode, **WHOSE)
    return made


@pytest.fixture
def int8_store(home, tmp_path) -> FeatureStore:
    """A store that was extracted in int8 from the same clips."""
    shards = ClipShards(home.workspace(DATA) / "shards")
    extract(shards, tmp_path / "int8", encode, precision="int8", **WHOSE)
    return FeatureStore(tmp_path / "int8", shards)


def foresight(*arguments: str):
    return CliRunner().invoke(app, ["bench", "cache", *arguments])


def test_sizes_are_those_of_the_files_that_either_store_has(home, int8_store):
    sizes = measure(open_store(home, DATA))
    for precision, folder in (("float16", home.workspace(DATA) / "features/dinov2"), ("int8", int8_store.folder)):
        on_disk = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        assert sizes.bytes_a_clip[precision] == on_disk / 7
    assert 0.5 < sizes.ratio < 0.7
    assert 0.999 <= sizes.least_cosine <= sizes.mean_cosine <= 1 + 1e-9
    assert sizes.close_enough


def test_at_the_proposals_size_neither_precision_fits_the_cap(home):
    """Design §4.8's 393 GB, and half of it, against §3.1's 100 GB; seven tiny clips fit."""
    proposed = [one for one in measure(open_store(home, DATA)).projections() if one.size == "proposed"]
    assert [round(one.gigabytes, 1) for one in proposed] == [393.2, 196.6]
    assert {(one.verdict, one.cap_gigabytes, one.section) for one in proposed} == {("over", 100, "3.1")}
    measured = [one for one in measure(open_store(home, DATA)).projections() if one.size == "measured"]
    assert {one.verdict for one in measured} == {"within"}


def test_tokens_quantised_in_memory_are_those_of_an_int8_store(home, int8_store):
    ids = ["c6", "c0", "c4", "c0"]
    assert np.array_equal(int8_reader(open_store(home, DATA))(ids), int8_store.read(ids))


def test_the_command_prints_its_document_and_leaves_the_home_as_it_was(home):
    before = folder_bytes(home.root)
    done = foresight("--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["schema"] == "foresight.bench/1"
    assert (document["bench"], document["dataset"], document["clips"], document["standin"]) == ("cache", DATA, 7, True)
    assert len(document["projections"]) == 4
    assert document["phase1"] is None
    assert folder_bytes(home.root) == before


def test_people_are_told_the_verdicts_and_what_is_missing(home):
    told = foresight().stdout
    assert "7 clips of moving_shapes, encoded by a stand-in" in told
    assert "(goal: least 0.999; met)" in told
    assert "100,000 clips of 5 x 256 x 1536, int8: 196.6 GB, over the 100 GB of §3.1" in told
    assert "Phase 1 has no checkpoint here" in told


def test_a_phase_trained_on_other_data_is_refused(home):
    root, folder = home.workspace(DATA), home.run(DATA, "phase1")
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"dinov2": {"outs": [{"md5": "now"}]}}}))
    job = Job(
        stage="phase1", phase=1, dataset=DATA, home=home.root, workspace=root, out=folder, profile=load("laptop"),
        data_versions={"dinov2": "then"}, weights={}, code_commit="none",
    )  # fmt: skip
    job.write()
    (folder / "result.json").write_text("{}")
    with pytest.raises(JobError, match=r"phase1: trained on other data than \S+ holds; run `foresight run --until"):
        on_phase1(home, DATA, open_store(home, DATA))


def _int8(home, int8_store):
    for path in int8_store.folder.iterdir():
        path.replace(home.workspace(DATA) / "features" / "dinov2" / path.name)


def _flipped(home, int8_store):
    path = next((home.workspace(DATA) / "features" / "dinov2").glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _missing(home, int8_store):
    (home.workspace(DATA) / "features" / "dinov2" / "store.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (_int8, 2, "holds int8; int8 is compared with fp16: set dinov2.precision to float16 in params.yaml"),
        (_flipped, 1, "not the bytes that were written; remove it and extract again"),
        (_missing, 1, "store.json: not there; extract the features first"),
    ],
)
def test_a_store_that_cannot_be_compared_is_one_line(home, int8_store, spoil, code, says):
    spoil(home, int8_store)
    done = foresight("--json")
    assert done.exit_code == code
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout
