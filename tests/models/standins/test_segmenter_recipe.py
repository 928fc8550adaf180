"""The segmenter of Spatial IoU has seen true frames alone, and none of any data set's (§6)."""

import shutil
from pathlib import Path

import pytest
import torch

from models.data.generated import HELDOUT_OFFSET
from models.data.moving_shapes import render_clip
from models.evaluation.segmenter import SegmenterRecipe, build_segmenter
from models.standins import shelf, train
from orchestration.profile import PROFILES, load

CLIPS = 2400


def test_the_recipe_shows_rendered_frames_and_their_masks_and_no_others(tmp_path, monkeypatch):
    copy = tmp_path / "weights"
    shutil.copytree(shelf.SHELF, copy)
    monkeypatch.setattr(shelf, "SHELF", copy)
    monkeypatch.setattr(shelf, "MANIFEST", copy / "manifest.json")
    monkeypatch.setattr(train, "HELDOUT_CLIPS", 2)
    shown = []

    def remember(frames, masks, recipe, progress):
        shown.append((frames, masks))
        assert recipe == SegmenterRecipe()
        return build_segmenter().eval()

    monkeypatch.setattr(train, "train_segmenter", remember)
    train.train(("segmenter",), lambda *_: None, clips=3)
    ((frames, masks),) = shown
    rendered = [render_clip(train.TRAINING_SEED + k) for k in range(3)]
    assert torch.equal(frames, torch.stack([torch.from_numpy(clip.frames) for clip in rendered]))
    assert torch.equal(masks, torch.stack([torch.from_numpy(clip.masks) for clip in rendered]))


@pytest.mark.parametrize("name", sorted(file.stem for file in PROFILES.glob("*.yaml")))
def test_no_data_set_has_a_clip_that_the_segmenter_was_shown(name):
    clips = load(name).clips
    begins = {clips.seed: clips.train, clips.seed + HELDOUT_OFFSET: clips.heldout}
    used = {seed for begin, count in begins.items() for seed in range(begin, begin + count)}
    assert not used & set(range(train.TRAINING_SEED, train.TRAINING_SEED + CLIPS))


def test_no_training_of_a_phase_knows_of_a_segmenter():
    root = Path(train.__file__).parents[2]
    files = [*(root / "models" / "training").glob("*.py"), root / "orchestration" / "stages" / "training.py"]
    assert len(files) > 10
    told = [file.name for file in files if "segmenter" in file.read_text() or "mobile_sam" in file.read_text()]
    assert told == []
