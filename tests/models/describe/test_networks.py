"""Networks of folders and of published sizes, counted without memory; and what they take at work."""

import dataclasses
import json

import pytest

from models.describe.inference import inference
from models.describe.networks import PUBLISHED, networks
from models.provenance import WeightsError
from models.standins import shelf

COUNTS = {
    "dinov2": 1_136_480_768,
    "qwen": 8_292_166_656,
    "transformer": 1_923_385_472,
    "text_encoder": 4_762_310_656,
    "vae": 419_193_649,
}


def test_without_folders_they_are_the_proposals():
    found = networks({})
    assert {name: network.parameters for name, network in found.items()} == COUNTS
    assert {network.source for network in found.values()} == {PUBLISHED}
    assert all(parameter.is_meta for network in found.values() for parameter in network.module.parameters())


def test_a_folders_network_has_its_own_size():
    from models.decoder.captions import CaptionEncoder
    from models.decoder.vae import LTXVae
    from models.encoders.qwen import QwenEncoder

    folders = {name: shelf.folder(name) for name in ("dinov2", "qwen", "vae", "ltx")}
    found = networks(folders)
    for name, network in (
        ("qwen", QwenEncoder.load(folders["qwen"]).model),  # its word embeddings are shared, and count once
        ("vae", LTXVae.load(folders["vae"])),
        ("text_encoder", CaptionEncoder.load(folders["ltx"])),
    ):
        assert found[name].parameters == sum(parameter.numel() for parameter in network.parameters())
        assert not found[name].source.startswith("published")
    assert found["transformer"].source == str(folders["ltx"])


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(WeightsError, match="its configuration makes no network"):
        networks({"dinov2": tmp_path})


def test_inference_holds_every_network_and_the_work_of_one(plan, networks):
    parts = inference(plan, networks)
    counts = {name: networks[other].parameters for name, other in (("qwen", "qwen"), ("dinov2", "dinov2"))}
    for name, count in counts.items():
        assert parts[name].weights == pytest.approx(4 * count, rel=0.02)  # in float32, each in whole blocks
    assert list(parts) == ["qwen", "dinov2", "fusion", "ltx", "vae"]
    assert all(part.work > 0 for part in parts.values())


def test_encoders_take_their_precision_and_the_decoder_bf16(plan, networks):
    half = dataclasses.replace(plan, precision="bf16", encoders={"qwen": "bfloat16"})
    full, halved = inference(plan, networks), inference(half, networks)
    for name in ("qwen", "ltx", "vae"):
        assert halved[name].weights == pytest.approx(full[name].weights / 2, rel=0.05)
    for name in ("dinov2", "fusion"):
        assert halved[name].weights == full[name].weights
