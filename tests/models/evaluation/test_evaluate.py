"""All metrics of a set of clips at once: each reacts to what it is for, the true side is computed once."""

import numpy as np
import pytest
import torch

from models.evaluation import baselines
from models.evaluation.evaluate import Reference, reconstruction_metrics, summarise
from models.evaluation.inputs import MetricInputError
from models.evaluation.iou import mask_iou
from models.evaluation.lpips import clip_lpips
from models.evaluation.segmenter import Segmenter, SegmenterRecipe, train_segmenter


@pytest.fixture(scope="module")
def squares():
    rng = np.random.default_rng(0)
    masks = np.zeros((12, 4, 64, 64), np.uint8)
    for clip in masks:
        y, x = rng.integers(4, 36, 2)
        step = rng.integers(-1, 2, 2)
        for t, frame in enumerate(clip):
            top, left = np.array([y, x]) + t * step
            frame[top : top + 18, left : left + 18] = 1
    ground = rng.integers(20, 60, (12, 1, 64, 64, 3))
    return np.where(masks[..., None] > 0, 220, ground).astype(np.uint8), masks


@pytest.fixture(scope="module")
def segmenter(squares, tmp_path_factory) -> Segmenter:
    """Trained for a few steps, saved in half precision and loaded as the programme loads its stand-in."""
    frames, masks = squares
    recipe = SegmenterRecipe(steps=40, batch=8, learning_rate=5e-3)
    folder = tmp_path_factory.mktemp("segmenter")
    train_segmenter(torch.from_numpy(frames), torch.from_numpy(masks), recipe).half().save_pretrained(folder)
    return Segmenter.load(folder)


@pytest.fixture(scope="module")
def reference(squares, segmenter, lpips_alex) -> Reference:
    return Reference(squares[0], lpips_alex, masks=squares[1], segmenter=segmenter)


def test_perfect_reconstruction_reaches_every_best_value(reference):
    values = reconstruction_metrics(reference, reference.frames)
    assert values["lpips"].max() < 1e-6
    assert (values["edge_f1"] == 1).all()
    assert values["spatial_iou_ceiling"].mean() > 0.8
    np.testing.assert_array_equal(values["spatial_iou"], values["spatial_iou_ceiling"])
    np.testing.assert_allclose(values["temporal_lpips_variance"], values["temporal_lpips_variance_true"], rtol=1e-4)
    assert all(value.shape == (12,) for value in values.values())


def test_each_metric_sees_what_it_is_for(reference):
    shifted = np.roll(reference.frames, 12, axis=3)
    values = reconstruction_metrics(reference, shifted)
    assert values["spatial_iou"].mean() < values["spatial_iou_ceiling"].mean() - 0.3
    assert values["edge_f1"].mean() < 0.6
    assert values["lpips"].mean() > 0.05
    frozen = reconstruction_metrics(reference, baselines.copy_last(reference.frames, known=1))
    assert frozen["temporal_lpips_variance"].max() < 1e-9
    assert (frozen["dynamic_degree"] == 0).all()
    assert frozen["dynamic_degree_true"].mean() > 0


def test_one_pass_gives_what_the_single_metrics_give(reference, lpips_alex):
    made = baselines.mean_frame(reference.frames)
    values = reconstruction_metrics(reference, made)
    np.testing.assert_allclose(values["lpips"], clip_lpips(lpips_alex, reference.frames, made), rtol=1e-5)


def test_no_frame_is_seen_twice(squares, segmenter, lpips_alex, monkeypatch):
    seen = []
    original = type(lpips_alex).features
    monkeypatch.setattr(
        type(lpips_alex), "features", lambda self, frames: seen.append(len(frames)) or original(self, frames)
    )
    own = Reference(squares[0], lpips_alex, masks=squares[1], segmenter=segmenter)
    for _ in range(3):
        reconstruction_metrics(own, squares[0])
    assert sum(seen) == len(np.unique(squares[0].reshape(-1, 64 * 64 * 3), axis=0))
    assert {what: one.looked for what, one in own.seen.items()} == dict.fromkeys(own.seen, sum(seen))


def test_a_frame_that_comes_again_is_looked_at_once(squares, segmenter, lpips_alex):
    frames = squares[0] + np.arange(4, dtype=np.uint8)[:, None, None, None]
    frames[:, 2] = frames[:, 1]
    frames[0, 3] = frames[0, 0]
    own = Reference(squares[0], lpips_alex, masks=squares[1], segmenter=segmenter)
    values = reconstruction_metrics(own, frames)
    different = len(np.unique(np.concatenate([squares[0], frames]).reshape(96, -1), axis=0))
    assert {what: one.looked for what, one in own.seen.items()} == dict.fromkeys(own.seen, different)
    np.testing.assert_allclose(values["lpips"], clip_lpips(lpips_alex, squares[0], frames), rtol=1e-4, atol=1e-7)
    frame_by_frame = segmenter.masks(frames.reshape(-1, 1, *frames.shape[2:])).reshape(frames.shape[:-1])
    np.testing.assert_array_equal(values["spatial_iou"], mask_iou(squares[1], frame_by_frame))


def test_without_true_masks_the_protocol_says_so(squares, segmenter, lpips_alex):
    own = Reference(squares[0][:2], lpips_alex, segmenter=segmenter)
    values = reconstruction_metrics(own, squares[0][:2])
    assert (values["spatial_iou"] == 1).all()
    assert "no true masks" in own.protocols()["spatial_iou"]
    assert "spatial_iou_ceiling" not in values


def test_summary_has_interval_n_and_protocol(reference):
    metrics = summarise(reconstruction_metrics(reference, np.roll(reference.frames, 3, 3)), reference.protocols())
    lpips = metrics["lpips"]
    assert lpips.low < lpips.value < lpips.high
    assert lpips.n == 12
    assert lpips.protocol == "lpips 0.1.4 v0.1, alex, input [-1,1], mean over frames; 4 frames of 64x64"


def test_other_lengths_and_captions_are_refused(reference, lpips_alex, squares):
    with pytest.raises(MetricInputError, match="4 frames in the reference, 3 in the generated"):
        reconstruction_metrics(reference, reference.frames[:, :3])
    with pytest.raises(MetricInputError, match="masks"):
        Reference(squares[0], lpips_alex, masks=squares[1][:, :3])
    with pytest.raises(MetricInputError, match="1 captions for 12 clips"):
        Reference(squares[0], lpips_alex, captions=["a"])


def test_one_constant_clip_without_objects(lpips_alex, segmenter):
    grey = np.full((1, 3, 64, 64, 3), 128, np.uint8)
    own = Reference(grey, lpips_alex, masks=np.zeros((1, 3, 64, 64), np.uint8), segmenter=segmenter)
    metrics = summarise(reconstruction_metrics(own, grey), own.protocols())
    assert metrics["spatial_iou"].value is None
    assert metrics["edge_f1"].value is None
    assert (metrics["lpips"].value, metrics["lpips"].low, metrics["lpips"].n) == (0, None, 1)


def test_segmenter_is_frozen_and_takes_clips_only(segmenter, squares):
    assert not any(p.requires_grad for p in segmenter.parameters())
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    assert segmenter.train().masks(squares[0][:1]).shape == (1, 4, 64, 64)
    assert all(torch.equal(value, before[name]) for name, value in segmenter.state_dict().items())
    with pytest.raises(MetricInputError):
        segmenter.masks(squares[0][0])
    logits = segmenter.model(pixel_values=torch.zeros(1, 3, 64, 64)).logits
    assert logits.shape == (1, 2, 32, 32)


def test_shuffled_clips_are_an_arms_own_and_nothing_is_looked_at_again(squares, segmenter, lpips_alex):
    own, made = Reference(squares[0], lpips_alex, segmenter=segmenter), np.roll(squares[0], 5, axis=3)
    reconstruction_metrics(own, made)
    before = {what: one.looked for what, one in own.seen.items()}
    mixed = reconstruction_metrics(own, baselines.shuffled(made))
    assert {what: one.looked for what, one in own.seen.items()} == before
    fresh = reconstruction_metrics(
        Reference(squares[0], lpips_alex, segmenter=segmenter), baselines.shuffled(made)
    )  # fmt: skip
    for name, values in fresh.items():
        np.testing.assert_array_equal(mixed[name], values)
