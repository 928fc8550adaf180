"""Checkpoints are whole or are not taken for checkpoints."""

import json
import os
import resource
from pathlib import Path

import pytest
import torch

from models.data import WriteError
from models.training import checkpoint
from models.training.checkpoint import CheckpointError

IDENTITY = {"config": {"rate": 0.1, "sizes": [1, 2]}, "data": {"clips": "a"}}


def save(folder: Path, step: int, **choices) -> Path:
    tensors = {name: {"w": torch.full((3,), float(step))} for name in ("model", "ema")}
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


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "missing"])
@pytest.mark.parametrize("name", ["model.safetensors", "ema.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, name, damage):
    save(tmp_path, 1)
    path = save(tmp_path, 2) / name
    content = path.read_bytes()
    match damage:
        case "flip":
            path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        case "cut":
            path.write_bytes(content[:-4])
        case "empty":
            path.write_bytes(b"")
        case "missing":
            path.unlink()
    with pytest.warns(UserWarning, match="skipped a checkpoint"):
        found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.step == 1


def test_any_flipped_bit_of_the_state_is_noticed(tmp_path):
    path = save(tmp_path, 1)
    state = path / "state.json"
    content = state.read_bytes()
    for place in range(len(content)):
        state.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CheckpointError):
            checkpoint.read(path)


def test_all_is_on_disk_before_a_checkpoint_gets_its_name(tmp_path, monkeypatch):
    """Files and their folder are synced, then renamed, then the folder of the name is synced."""
    calls, paths = [], {}
    opened, synced, renamed = os.open, os.fsync, Path.rename

    def remember(path, *arguments, **choices):
        descriptor = opened(path, *arguments, **choices)
        paths[descriptor] = Path(path).name
        return descriptor

    monkeypatch.setattr(os, "open", remember)
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(paths[descriptor]) or synced(descriptor))
    monkeypatch.setattr(Path, "rename", lambda path, to: calls.append(f"-> {to.name}") or renamed(path, to))
    save(tmp_path / "checkpoints", 2)
    assert calls == [
        tmp_path.name,  # where the folder of the checkpoints is new
        "model.safetensors",
        "ema.safetensors",
        "state.json",
        ".writing-00000002",
        "-> step-00000002",
        "checkpoints",
    ]


def test_damaged_ones_ahead_do_not_push_out_a_whole_one(tmp_path):
    for step in (8, 9):
        (save(tmp_path, step) / "state.json").write_text("{}")
    save(tmp_path, 1, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


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
    with pytest.raises(CheckpointError, match=r"config\.new: 'absent' then, None now\)"):
        checkpoint.require_same(found, {**IDENTITY, "config": {**IDENTITY["config"], "new": None}})


def test_one_of_an_earlier_version_says_so(tmp_path):
    path = save(tmp_path, 1)
    state = json.loads((path / "state.json").read_text())
    del state["schema"]
    (path / "state.json").write_text(json.dumps(state))
    with pytest.raises(
        CheckpointError, match=r"not a checkpoint of this version \(foresight.checkpoint/2\); train again"
    ):
        checkpoint.read(path)


def test_a_setting_that_is_not_there_is_named(tmp_path):
    found = checkpoint.read(save(tmp_path, 1))
    assert found.setting("rate", float) == 0.1
    with pytest.raises(CheckpointError, match=r"its configuration has no usable routes \('routes'\)"):
        found.setting("routes", dict)


@pytest.mark.parametrize("other", [{}, {"w": torch.zeros(4)}, {"w": torch.zeros(3), "v": torch.zeros(1)}])
def test_weights_of_another_model_are_refused_whole(tmp_path, other):
    found = checkpoint.read(save(tmp_path, 1))
    wanted = {"w": torch.zeros(3)}
    with pytest.raises(CheckpointError, match=r"is of another model: 1 tensors differ, as [vw]; train again"):
        found.fill(wanted, other)
    with pytest.raises(CheckpointError, match="of another model"):
        found.fill({**wanted, "v": torch.zeros(1)}, found.weights())
    assert not wanted["w"].any()
    found.fill(wanted, found.weights())
    assert torch.equal(wanted["w"], torch.ones(3))


def test_a_full_disk_leaves_the_last_one(tmp_path):
    save(tmp_path, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        with pytest.raises(WriteError, match=r"no checkpoint of step 2 .*; make room and run again"):
            save(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
