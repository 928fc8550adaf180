"""Checkpoints are whole or are not taken for checkpoints."""

import json
from pathlib import Path

import pytest
import torch

from models.training import checkpoint
from models.training.checkpoint import CheckpointError

IDENTITY = {"config": {"rate": 0.1, "sizes": [1, 2]}, "data": {"clips": "a"}}


def save(folder: Path, step: int, **choices) -> Path:
    tensors = {"model": {"w": torch.full((3,), float(step))}}
    return checkpoint.save(folder, step, tensors, {"identity": IDENTITY}, **{"keep": 9, **choices})


def test_what_was_saved_is_read(tmp_path):
    save(tmp_path, 3)
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.step == 3
    assert found.tensors("model")["w"].tolist() == [3, 3, 3]
    assert found.weights()["w"].tolist() == [3, 3, 3]


def test_no_checkpoint_yet(tmp_path):
    assert checkpoint.latest(tmp_path / "nowhere") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "state", "empty"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, damage):
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    tensors, state = newest / "model.safetensors", newest / "state.json"
    match damage:
        case "flip":
            tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x01")
        case "cut":
            tensors.write_bytes(tensors.read_bytes()[:-4])
        case "missing":
            tensors.unlink()
        case "state":
            state.write_text(state.read_text()[:-20])
        case "empty":
            state.write_text("")
    with pytest.warns(UserWarning, match="skipped a damaged checkpoint"):
        found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.step == 1


def test_a_half_written_folder_is_no_checkpoint_and_is_cleared(tmp_path):
    save(tmp_path, 1)
    draft = tmp_path / ".writing-00000002"
    draft.mkdir()
    (draft / "model.safetensors").write_bytes(b"half")
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.step == 1
    save(tmp_path, 3)
    assert not draft.exists()


def test_a_damaged_one_is_replaced_when_its_step_comes_again(tmp_path):
    (save(tmp_path, 2) / "state.json").write_text("{}")
    save(tmp_path, 2)
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.step == 2


def test_old_ones_go(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_another_configuration_is_refused_with_the_differing_keys(tmp_path):
    save(tmp_path, 1)
    found = checkpoint.latest(tmp_path)
    assert found is not None
    checkpoint.require_same(found, json.loads(json.dumps(IDENTITY)))
    other = {"config": {"rate": 0.2, "sizes": [1, 2]}, "data": {"clips": "a"}}
    with pytest.raises(CheckpointError, match=r"config\.rate: 0\.1 then, 0\.2 now\)"):
        checkpoint.require_same(found, other)
