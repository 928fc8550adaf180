"""Checkpoints as the trainer writes them, sent and fetched: a half one or a damaged one is never trained from."""

import shutil
import warnings

import pytest
import torch

from models.training import checkpoint
from orchestration.objects import checkpoints
from orchestration.objects.checkpoints import NotWhole, latest_checkpoint, pull_checkpoint, push_checkpoint
from orchestration.objects.store import open_store

pytestmark = pytest.mark.stack


@pytest.fixture
def store(objects):
    return open_store(objects)


def saved(folder, step):
    tensors = {"model": {"w": torch.full((4,), float(step))}}
    return checkpoint.save(folder, step, tensors, {"identity": {}}, keep=9)


def test_the_newest_one_comes_back_as_the_trainer_reads_it_and_old_ones_go(store, tmp_path):
    for step in (1, 2, 3):
        push_checkpoint(store, saved(tmp_path / "run", step), "run", keep=2)
    assert checkpoints.pushed(store, "run") == ["step-00000003", "step-00000002"]
    assert not list(store.keys("run/step-00000001/"))
    back = pull_checkpoint(store, "run", tmp_path / "elsewhere")
    found = checkpoint.latest(tmp_path / "elsewhere")
    assert found is not None
    assert found.path == back
    assert found.weights()["w"].tolist() == [3.0] * 4


def test_what_was_not_sent_to_its_end_does_not_count(store, tmp_path):
    assert latest_checkpoint(store, "run") is None
    assert pull_checkpoint(store, "run", tmp_path) is None
    push_checkpoint(store, saved(tmp_path / "run", 1), "run", keep=2)
    push_checkpoint(store, saved(tmp_path / "run", 2), "run", keep=2)
    store.remove("run/step-00000002/manifest.json")
    assert latest_checkpoint(store, "run") == "step-00000001"


def test_a_damaged_one_is_passed_over_for_the_one_before(store, tmp_path):
    for step in (1, 2):
        push_checkpoint(store, saved(tmp_path / "run", step), "run", keep=2)
    key = next(iter(store.keys("run/step-00000002/files/")))
    data = bytearray(store.get_bytes(key))
    there = store.said_of(key)
    data[-1] ^= 1
    store.client.put_object(Bucket=store.bucket, Key=store.full(key), Body=bytes(data), Metadata=there)
    with pytest.warns(UserWarning, match=r"passed over a checkpoint: .*sha256"):
        assert pull_checkpoint(store, "run", tmp_path / "back") == tmp_path / "back" / "step-00000001"


def test_a_half_one_is_not_sent(store, tmp_path):
    half = saved(tmp_path / "run", 1)
    (half / "model.safetensors").write_bytes(b"half")
    with pytest.raises(NotWhole, match=r"model.safetensors is not what state.json says"):
        push_checkpoint(store, half, "run", keep=2)
    shutil.rmtree(half)
    half.mkdir()
    with pytest.raises(NotWhole, match=r"state\.json"):
        push_checkpoint(store, half, "run", keep=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert latest_checkpoint(store, "run") is None
