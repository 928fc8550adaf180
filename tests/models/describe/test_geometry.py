"""What configurations say without torch is what the modules have; where there is none, the proposal's sizes stand."""

import json

import pytest

from models.decoder import published as decoder
from models.describe.geometry import Geometry, GeometryError, read
from models.encoders import published
from models.encoders.dinov2 import Dinov2Encoder
from models.encoders.qwen import QwenEncoder
from models.standins import shelf

NAMES = ("dinov2", "qwen", "vae", "ltx")


@pytest.fixture(scope="module")
def folders():
    return {name: shelf.folder(name) for name in NAMES}


def test_the_defaults_are_the_published_networks():
    dinov2, vae = published.on_meta("dinov2-giant").config, decoder.on_meta("vae")
    config = published.on_meta("qwen2.5-vl-7b").config
    vision = config.vision_config
    assert Geometry() == Geometry(
        dinov2.hidden_size,
        dinov2.patch_size,
        config.text_config.hidden_size,
        vision.patch_size * vision.spatial_merge_size,
        vision.temporal_patch_size,
        vae.config.latent_channels,
        vae.spatial_compression_ratio,
        vae.temporal_compression_ratio,
        decoder.on_meta("transformer").config.caption_channels,
    )
    assert read({}) == Geometry()


def test_folders_say_what_their_networks_have(folders):
    from models.decoder.vae import LTXVae

    found, vae = read(folders), LTXVae.load(folders["vae"]).geometry
    dinov2, qwen = Dinov2Encoder.load(folders["dinov2"], stride=2), QwenEncoder.load(folders["qwen"])
    assert (found.spatial_dim, found.spatial_patch) == (dinov2.dim, dinov2.patch)
    assert (found.semantic_dim, found.semantic_cell) == (qwen.dim, qwen.cell)
    assert (found.latent_channels, found.latent_cell, found.latent_step) == (vae.channels, vae.spatial, vae.temporal)
    assert found.caption_channels == 64
    assert read({"dinov2": folders["dinov2"]}).semantic_dim == Geometry().semantic_dim


def test_a_configuration_of_before_transformers_5_is_read(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 2048, "vision_config": {"patch_size": 14}}))
    found = read({"qwen": tmp_path})
    assert (found.semantic_dim, found.semantic_cell) == (2048, 28)


def test_the_fusion_fits_the_clips():
    fusion = Geometry().fusion(33, 224, {"dim": 640})
    assert (fusion.latent_frames, fusion.semantic_frames) == (5, 17)
    assert (fusion.latent_grid, fusion.spatial_grid, fusion.semantic_grid) == ((7, 7), (16, 16), (8, 8))
    assert fusion.dim == 640


def test_clips_and_configurations_that_do_not_fit_are_refused(tmp_path):
    Geometry().require_fit(9, 224)
    with pytest.raises(GeometryError, match=r"clips of 250x250 pixels do not tile into spatial_patch=14; change"):
        Geometry().require_fit(9, 250)
    with pytest.raises(GeometryError, match=r"clips of 10 frames are not 8k\+1; change clips.frames"):
        Geometry().require_fit(10, 224)
    for content in ("{}", "{"):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(GeometryError, match=r"config.json: gives no sizes of dinov2 .*; fetch the folder again"):
            read({"dinov2": tmp_path})
