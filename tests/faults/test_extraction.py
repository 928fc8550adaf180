"""A worker of an extraction is killed with a shard in hand: another encodes it, and the store names it once."""

import json

import numpy as np
import pytest

from models.data import features
from models.data.features import FeatureStore, Store, collect, extract
from models.data.generated import write_dataset
from models.data.shards import ClipShards, build_shards
from orchestration.parallel.extraction import ExtractionFailed, extractors
from tests.faults.learners import Encoding

pytestmark = pytest.mark.stack
WHOSE = {"name": "toy", "fingerprint": "f" * 64, "weights_sha256": "w" * 64, "standin": True}


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> ClipShards:
    folder = tmp_path_factory.mktemp("clips")
    write_dataset(folder / "data", 24, 0, 0, frames=9, size=32)
    build_shards(folder / "data", folder / "shards", frames=9, size=32, clips_per_shard=4)
    return ClipShards(folder / "shards")


def deadly(shards: ClipShards, shard: str) -> int:
    """The sum of a clip in the middle of a shard."""
    return int(shards.frames(shards.ids_of(shard)[2:3]).sum(dtype=np.int64))


@pytest.mark.fault("an extraction worker killed with a shard in hand")
@pytest.mark.usefixtures("nodes")
def test_a_dead_workers_shard_is_encoded_again_and_named_once(shards, tmp_path, monkeypatch, fault_row):
    names = list(shards.shard_sha256)
    encoding, named = Encoding(deadly(shards, names[3]), tmp_path / "died"), []
    writing = features.FeatureWriter.write
    monkeypatch.setattr(
        features.FeatureWriter, "write", lambda self, shard, *given: named.append(shard) or writing(self, shard, *given)
    )
    store = Store("toy", WHOSE["fingerprint"], "toy", WHOSE["weights_sha256"], True)
    with extractors(encoding, 2, shards) as workers:
        assert workers.standin()
        assert collect(shards, tmp_path / "many", workers.source, store, batch=2) == 24
    fault_row.twice, fault_row.lost = len(named) - len(set(named)), len(set(names) - set(named))
    fault_row.ended = "right result"
    assert encoding.mark.exists()
    assert sorted(named) == names
    assert len((tmp_path / "died.loads").read_text().splitlines()) == 3, (
        "two workers, and the one in the dead one's place"
    )
    encode, _ = encoding()
    extract(shards, tmp_path / "alone", encode, batch=2, **WHOSE)
    assert FeatureStore(tmp_path / "many", shards).verify() == 6
    told = [json.loads((tmp_path / one / "store.json").read_text()) for one in ("many", "alone")]
    assert told[0] == told[1], "the bytes of one worker that nothing befell"


@pytest.mark.usefixtures("nodes")
def test_a_shard_that_kills_every_worker_ends_the_extraction(shards, tmp_path):
    shard = next(iter(shards.shard_sha256))
    encoding = Encoding(deadly(shards, shard), tmp_path / "died", always=True)
    store = Store("toy", WHOSE["fingerprint"], "toy", WHOSE["weights_sha256"], True)
    with (
        extractors(encoding, 2, shards) as workers,
        pytest.raises(ExtractionFailed, match=f"{shard}: 3 workers died over it"),
    ):
        collect(shards, tmp_path / "many", workers.source, store, batch=2)
    assert shard not in json.loads((tmp_path / "many" / "store.json").read_text())["shards"]
