"""`foresight measure`: one document on stdout, one line for what cannot be compared."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from models.data.video import write_lossless
from orchestration.cli.app import app


@pytest.fixture
def files(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    write_lossless(tmp_path / "true.mkv", frames)
    write_lossless(tmp_path / "made.mkv", 255 - frames)
    write_lossless(tmp_path / "short.mkv", frames[:3])
    return tmp_path


def test_two_clips_give_one_document(files):
    found = CliRunner().invoke(app, ["measure", str(files / "true.mkv"), str(files / "made.mkv"), "--json"])
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert document["schema"] == "foresight.measure/1"
    assert (document["n_clips"], document["left_out"], document["standins"]) == (1, [], False)
    assert document["metrics"]["lpips"]["value"] > 0.05
    assert "spatial_iou" not in document["metrics"]


def test_clips_of_two_lengths_are_wrong_input(files):
    found = CliRunner().invoke(app, ["measure", str(files / "true.mkv"), str(files / "short.mkv")])
    assert found.exit_code == 2
    assert "the reference is 4 frames of 32x32, the generated 3 frames of 32x32" in found.stderr
