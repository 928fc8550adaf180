"""Reading features: of a large file only what is asked for; where there is no clip, one clear line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from models.data.features import FeatureError, FeatureStore, extract
from models.data.shards import ClipShards, build_shards

from .clips import make_row, write_manifest
from .test_features import WHOSE, encode


@pytest.fixture
def shards(tmp_path):
    rows = [make_row(tmp_path / "raw", f"c{k}", seed=k) for k in range(4)]
    build_shards(write_manifest(tmp_path / "raw", rows), tmp_path / "shards", size=16, clips_per_shard=2)
    return ClipShards(tmp_path / "shards")


MAPPED = """
import resource, sys
import numpy as np
from pathlib import Path
from types import SimpleNamespace
from models.data.features import FeatureStore, FeatureWriter, Store
name = "shard-00000.safetensors"
shards = SimpleNamespace(shard_sha256={name: "s"}, places={f"c{k}": (name, k) for k in range(64)})
if sys.argv[2] == "write":
    writer = FeatureWriter(Path(sys.argv[1]), Store("toy", "f", "toy", "w", True))
    tokens = np.arange(64, dtype=np.float16)[:, None, None] + np.zeros((64, 1, 1 << 20), np.float16)
    writer.write(name, "s", {"tokens": tokens})
else:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = FeatureStore(Path(sys.argv[1]), shards).read(["c63", "c5"])
    assert rows.shape == (2, 1, 1 << 20) and (rows[0] == 63).all() and (rows[1] == 5).all()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_of_a_large_file_only_the_clips_asked_for_come_into_memory(tmp_path):
    """Two clips of 2 MB out of a file of 134: mapped, and at random places in it."""

    def run(what: str) -> str:
        command = [sys.executable, "-c", MAPPED, str(tmp_path), what]
        return subprocess.run(command, cwd=Path(__file__).parents[3], check=True, capture_output=True, text=True).stdout

    run("write")
    assert (tmp_path / "shard-00000.safetensors").stat().st_size > 130e6
    assert int(run("read")) < 30_000, "kilobytes"


def test_shards_without_a_clip_are_refused_and_leave_no_store(shards, tmp_path):
    shards.table = shards.table.slice(0, 0)
    with pytest.raises(FeatureError, match=r"toy: no clip in .*; ingest clips before their features") as caught:
        extract(shards, tmp_path / "features", encode, **WHOSE)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "features").exists()


def test_a_store_without_a_file_is_one_clear_line(shards, tmp_path):
    extract(shards, tmp_path / "features", encode, **WHOSE)
    path = tmp_path / "features" / "store.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "shards": {}, "sources": {}}))
    with pytest.raises(FeatureError, match=r"features: no file of features yet; extract again"):
        FeatureStore(tmp_path / "features", shards).names()


def test_a_file_without_a_clip_is_one_clear_line(shards, tmp_path):
    extract(shards, tmp_path / "features", encode, **WHOSE)
    save_file({"tokens": np.zeros((0, 5, 8, 1), np.float16)}, tmp_path / "features" / "shard-00000.safetensors")
    store = FeatureStore(tmp_path / "features", shards)
    with pytest.raises(FeatureError, match=r"tokens cannot be read \(.*out of bounds.*\); remove it, extract again"):
        store.read(shards.ids_of("shard-00000.safetensors"))
    with pytest.raises(FeatureError, match=r"shard-00000.safetensors: missing, or not the bytes"):
        store.verify()
