"""Stand-ins: the shelf is whole, says what it is, and its recipes learn."""

import shutil

import numpy as np
import pytest
import torch

from models.data.moving_shapes import DIRECTIONS, render_clip
from models.provenance import WeightsError
from models.standins import shelf
from models.standins.augment import augment
from models.standins.cards import caption_scores
from models.standins.dinov2 import Dinov2Recipe
from models.standins.dinov2 import train as train_dinov2
from models.standins.ltx import shifted_logit_normal
from models.standins.tokenizer import build as build_tokenizer


def test_the_shelf_is_the_one_that_was_trained_and_small():
    assert set(shelf.verify()) == set(shelf.NAMES)
    size = sum(path.stat().st_size for path in shelf.SHELF.rglob("*") if path.is_file())
    assert size < 20 * 2**20


@pytest.mark.parametrize("name", shelf.NAMES)
def test_every_stand_in_has_a_card_that_says_so(name):
    card = (shelf.folder(name) / "CARD.md").read_text()
    assert card.startswith(f"# Stand-in: {name}")
    assert "no result made with it says anything about the real model" in card
    assert "Measured on" in card


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    copy = tmp_path / "weights"
    shutil.copytree(shelf.SHELF, copy)
    monkeypatch.setattr(shelf, "SHELF", copy)
    monkeypatch.setattr(shelf, "MANIFEST", copy / "manifest.json")
    weights = next((copy / "dinov2").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match=r"stand-in dinov2: model.safetensors has a wrong sha256"):
        shelf.verify()
    weights.unlink()
    with pytest.raises(WeightsError, match=r"model.safetensors is missing"):
        shelf.verify()


def test_the_vocabulary_holds_every_caption():
    tokenizer = build_tokenizer()
    for seed in range(60):
        caption = render_clip(seed).caption
        assert tokenizer.decode(tokenizer(caption).input_ids) == caption


def test_augmented_clips_stay_true_to_their_captions():
    rng = np.random.default_rng(0)
    checked = 0
    for seed in range(60):
        clip = render_clip(seed)
        if "near" in clip.caption:
            continue
        both = torch.from_numpy(np.concatenate([clip.frames[..., :2], clip.masks[..., None]], axis=-1))
        turned, caption = augment(both, clip.caption, rng)
        centres = [np.argwhere(mask).mean(axis=0)[::-1] for mask in turned[..., 2].numpy()]
        steps = (centres[4] - centres[0], centres[8] - centres[4])
        seen = [max(DIRECTIONS, key=lambda name: float(np.dot(DIRECTIONS[name], step))) for step in steps]
        assert [word for word in caption.split() if word in DIRECTIONS] == seen
        checked += 1
    assert checked > 5


def test_caption_scores_tell_order_from_content():
    true = ["a small plain red ring moves up then left"]
    swapped = ["a small plain red ring moves left then up"]
    scores = caption_scores(swapped, true)
    assert scores["first shape named right"] == 1
    assert scores["both directions in order right (chance 0.083)"] == 0
    assert caption_scores(true, true)["captions right word for word"] == 1


def test_noise_levels_are_shifted_towards_noise():
    generator = torch.Generator().manual_seed(0)
    levels = shifted_logit_normal(20_000, 0.75, generator)
    assert levels.median().item() == pytest.approx(torch.sigmoid(torch.tensor(0.75)).item(), abs=0.01)


def test_a_recipe_lowers_its_loss():
    clips = torch.stack([torch.from_numpy(render_clip(seed).frames) for seed in range(8)])
    masked: list[float] = []
    train_dinov2(clips, Dinov2Recipe(steps=25, batch=4), lambda *step: masked.append(step[3]["masked"]))
    assert np.mean(masked[-5:]) < 0.8 * np.mean(masked[:5])
