"""Weights: a local folder or a hub's commit, safetensors only, whole, and those that were pinned."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from models import pretrained
from models.encoders.registry import NAMES, EncoderError, load_encoder
from models.pretrained import locate
from models.provenance import WeightsError, folder_sha256
from tests.models.encoders import small

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("dinov2")
    small.dinov2(made)
    return made


def test_a_pinned_hash_is_kept_and_another_refused(folder):
    pinned = folder_sha256(folder)
    assert load_encoder("dinov2", folder, stride=2, sha256=pinned).weights_sha256 == pinned
    with pytest.raises(WeightsError, match=f"has sha256 {pinned}, not the pinned {'0' * 64}; it is refused"):
        load_encoder("dinov2", folder, stride=2, sha256="0" * 64)


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_a_folder_of_pickles_only_is_refused(tmp_path, file):
    (tmp_path / "config.json").write_text("{}")
    torch.save({}, tmp_path / file)
    with pytest.raises(WeightsError, match=rf"holds pickled weights only \({file}\).*convert them to safetensors"):
        locate(tmp_path)


def test_a_pickle_beside_safetensors_is_never_read(folder, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(folder, both)
    (both / "pytorch_model.bin").write_bytes(b"no pickle at all")
    assert load_encoder("dinov2", both, stride=2).weights_sha256 == folder_sha256(folder)


@pytest.mark.parametrize("name", ["org/model@main", "org/model@v1.0", f"org/model@{COMMIT[:12]}", "org/model@"])
def test_a_revision_that_can_move_is_refused(name):
    with pytest.raises(WeightsError, match=r"pin the commit, org/model@ and its 40 hexadecimal digits"):
        locate(name)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"org/model: no such folder, and no revision is named"):
        locate("org/model")
    with pytest.raises(WeightsError, match=r"absent: no such folder; give a folder of weights"):
        locate(tmp_path / "absent")


def test_a_hub_at_a_commit_is_asked_for_that_commit_and_for_no_pickle(folder, monkeypatch):
    import huggingface_hub

    asked = {}

    def snapshot_download(repository, **said):
        asked.update(said, repository=repository)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert locate(f"org/reached@{COMMIT}").folder == folder
    assert (asked["repository"], asked["revision"]) == ("org/reached", COMMIT)
    assert not any(pattern.endswith(pretrained.PICKLES) for pattern in asked["allow_patterns"])


def test_a_hub_out_of_reach_is_one_clear_line():
    with pytest.raises(WeightsError, match="the hub did not give it") as caught:
        locate(f"org/model@{COMMIT}")
    assert "\n" not in str(caught.value)
    assert "use a local folder" in str(caught.value)


def test_parameters_that_the_files_lack_are_not_left_random(folder, tmp_path):
    lacking = tmp_path / "lacking"
    shutil.copytree(folder, lacking)
    tensors = load_file(lacking / "model.safetensors")
    dropped = sorted(tensors)[-1]
    save_file({name: tensor for name, tensor in tensors.items() if name != dropped}, lacking / "model.safetensors")
    with pytest.raises(WeightsError, match=r"lacks 1 parameters of Dinov2Model"):
        load_encoder("dinov2", lacking, stride=2)


def test_damaged_weights_and_configurations_are_one_clear_line(folder, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(WeightsError, match=r"cannot be loaded \(.*fetch the folder again"):
        load_encoder("dinov2", damaged, stride=2)
    (damaged / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config.json: no readable configuration"):
        load_encoder("dinov2", damaged, stride=2)


@pytest.mark.parametrize("name", ["qwen", "qwen_premerge", "sam", "siglip", "mae"])
def test_another_models_folder_is_refused(folder, name):
    with pytest.raises(WeightsError, match="holds a dinov2 model, not "):
        load_encoder(name, folder, stride=2)


def test_an_architecture_that_is_no_eva_clip_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "vit_base_patch16_224"}))
    with pytest.raises(WeightsError, match="holds vit_base_patch16_224, not an EVA-CLIP"):
        load_encoder("eva_clip", tmp_path, stride=2)


def test_an_eva_clip_that_lacks_parameters_is_refused(tmp_path):
    small.eva_clip(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({name: t for name, t in tensors.items() if ".1.norm1" not in name}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"lacks 2 parameters of eva02_base_patch16_clip_224, blocks.1.norm1"):
        load_encoder("eva_clip", tmp_path, stride=2)


def test_an_unknown_encoder_is_answered_with_the_known_ones():
    with pytest.raises(EncoderError, match=f"no encoder 'dino'; there are {', '.join(NAMES)}"):
        load_encoder("dino", "anywhere", stride=2)
