"""What is done for a clip does not grow with the number of clips: counted in files and hashes, not in seconds."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.data import features, shards, sparing
from models.data.features import STORE, FeatureStore, extract
from models.data.shards import INDEX, ClipShards, build_shards
from models.data.sparing import Sparing
from models.training.sampler import Sampler
from tests.models.data.clips import make_row, write_manifest

WHOSE = {"name": "toy", "fingerprint": "f", "weights_sha256": "w", "standin": True}
SIZES = (6, 12)
PER_SHARD = 2


def encode(frames: np.ndarray) -> dict[str, np.ndarray]:
    return {"tokens": frames[:, :1, 0].reshape(len(frames), 1, -1, 3) / 255}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[int, Path]:
    """Raw clips, their shards and features, by their number."""
    made = {clips: tmp_path_factory.mktemp(f"clips-{clips}") for clips in SIZES}
    for clips, folder in made.items():
        rows = [make_row(folder / "raw", f"c{k}", seed=k, split="train") for k in range(clips)]
        write_manifest(folder / "raw", rows)
        ingest(folder)
        extract(ClipShards(folder / "shards"), folder / "features", encode, **WHOSE)
    return made


def ingest(folder: Path):
    return build_shards(folder / "raw", folder / "shards", size=16, clips_per_shard=PER_SHARD)


class Clock:
    """Time that passes only where something is said to take long."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(sparing, "time", made)
    return made


@pytest.mark.parametrize("steps", [200, 2000])
def test_what_grows_with_the_work_takes_a_twentieth_of_it(clock, steps):
    """Each step takes 1 s, and to write all that is done so far 1 ms for each: after each step, it would take a tenth
    of the time of 200 steps, and as long as 2,000 steps themselves.
    """
    written, spent = Sparing(), 0.0

    def write(done: int) -> None:
        clock.now += 0.001 * done

    for step in range(1, steps + 1):
        clock.now += 1.0
        if written.due():
            before = clock.now
            written.do(partial(write, step))
            spent += clock.now - before
    assert 0 < spent <= steps / 20


@pytest.mark.parametrize(("module", "named"), [(features, STORE), (shards, INDEX)])
def test_a_dear_index_is_written_at_the_first_shard_and_at_the_end(
    folders, tmp_path, monkeypatch, clock, module, named
):
    """However many shards there are: written after each, it would cost the square of their number."""
    counts, real = Counter(), module.write_durably

    def dear(path: Path, data: bytes) -> str:
        counts[path.name == named] += 1
        clock.now += 100.0 * (path.name == named)
        return real(path, data)

    monkeypatch.setattr(module, "write_durably", dear)
    for clips, folder in folders.items():
        counts.clear()
        out = tmp_path / str(clips)
        if module is features:
            extract(ClipShards(folder / "shards"), out, encode, **WHOSE)
            assert counts[False] == clips // PER_SHARD
            assert not FeatureStore(out, ClipShards(folder / "shards")).missing
        else:
            build_shards(folder / "raw", out, size=16, clips_per_shard=PER_SHARD)
            assert ClipShards(out).verify() == clips
        assert counts[True] == 2


def test_finished_features_are_named_also_when_the_work_ends_badly(folders, tmp_path, monkeypatch, clock):
    """The third shard cannot be encoded; the second, not named while naming was dear, is kept all the same."""
    real, left = features.write_durably, [2]

    def dear(path: Path, data: bytes) -> str:
        clock.now += 100.0 * (path.name == STORE)
        return real(path, data)

    def failing(frames: np.ndarray) -> dict[str, np.ndarray]:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("no more")
        return encode(frames)

    monkeypatch.setattr(features, "write_durably", dear)
    made = ClipShards(folders[6] / "shards")
    with pytest.raises(RuntimeError, match="no more"):
        extract(made, tmp_path, failing, **WHOSE)
    assert FeatureStore(tmp_path, made).missing == ["shard-00002.safetensors"]
    assert extract(made, tmp_path, encode, **WHOSE) == PER_SHARD


def test_what_takes_all_clips_is_asked_as_often_however_many_shards_there_are(folders, tmp_path, monkeypatch):
    """A list of all clips at every shard would cost the square of their number."""
    asked, real = Counter(), ClipShards.ids

    def counted(self: ClipShards, split: str | None = None) -> list[str]:
        asked[len(self.table)] += 1
        return real(self, split)

    monkeypatch.setattr(ClipShards, "ids", counted)
    for clips, folder in folders.items():
        extract(ClipShards(folder / "shards"), tmp_path / str(clips), encode, **WHOSE)
    assert asked[SIZES[0]] == asked[SIZES[1]] > 0


def test_ingest_with_nothing_new_hashes_each_clip_once(folders, monkeypatch):
    hashed, real = Counter(), shards.file_sha256

    def counted(path: Path) -> str:
        hashed[path] += 1
        return real(path)

    monkeypatch.setattr(shards, "file_sha256", counted)
    for clips, folder in folders.items():
        hashed.clear()
        assert ingest(folder).shards_written == 0
        assert (len(hashed), hashed.total()) == (clips, clips)


def test_an_epoch_in_random_order_opens_each_file_once(folders, monkeypatch):
    opened, real = Counter(), shards.safe_open

    def counted(path: Path, **how: str):
        opened[path] += 1
        return real(path, **how)

    monkeypatch.setattr(shards, "safe_open", counted)
    for clips, folder in folders.items():
        shards.unmap()
        opened.clear()
        store = FeatureStore(folder / "features", ClipShards(folder / "shards"))
        ids, sampler = store.shards.ids(), Sampler(clips, seed=0)
        for first in range(0, clips, 3):
            batch = [ids[number] for number in sampler.take(first, 3)]
            store.shards.frames(batch)
            store.read(batch)
        assert (len(opened), opened.total()) == (2 * clips // PER_SHARD, 2 * clips // PER_SHARD)


def test_as_many_files_stay_open_as_100_000_clips_have():
    """Shards of 64 clips, and the features of three networks made of each."""
    assert 4 * -(-100_000 // 64) <= shards.MAPPED < 65_530
