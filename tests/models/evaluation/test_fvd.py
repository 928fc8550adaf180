"""I3D against its authors' own clip; the Frechet distance against closed forms and scipy; FVD's name and its bias."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from scipy.linalg import sqrtm

from models.evaluation import fvd
from models.evaluation.i3d import I3D, pad_same
from models.evaluation.inputs import MetricInputError
from tests.models.evaluation.conftest import fetched

PLAYING_CRICKET = 227


def test_i3d_sees_the_authors_clip_as_they_do(real_clips):
    fetched("i3d")
    with Image.open(real_clips / "ucf101_cricketshot_i3d.gif") as gif:
        clip = np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)])
    with torch.no_grad():
        share = I3D()(fvd.prepare(clip)).softmax(1)[0]
    assert share.argmax() == PLAYING_CRICKET
    assert share[PLAYING_CRICKET].item() == pytest.approx(0.989, abs=0.001)


def test_padding_is_tensorflows():
    x = torch.ones(1, 1, 9, 224, 5)
    padded = pad_same(x, (3, 7, 2), (2, 2, 1))
    assert padded.shape[2:] == (11, 229, 6)  # 1 before and 1 behind; 2 and 3; 0 and 1
    assert padded[0, 0, 1, 1].sum() == 0
    assert padded[0, 0, 1, 2, -1] == 0


def test_short_and_small_clips_are_brought_to_the_networks_size():
    clip = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), dtype=np.uint8)
    video = fvd.prepare(clip)
    assert video.shape == (1, 3, 16, 224, 224)
    assert (video[:, :, 8:] == video[:, :, 8:9]).all()
    assert -1 <= video.min() < video.max() <= 1


def test_equals_the_definition_in_float64():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(200, 12)) @ rng.normal(size=(12, 12))
    second = rng.normal(size=(150, 12)) @ rng.normal(size=(12, 12)) + 0.3
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert fvd.frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_closed_forms_also_with_fewer_clips_than_features():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 400))
    assert fvd.frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert fvd.frechet_distance(features, features + 0.5) == pytest.approx(400 * 0.25)
    spread = np.trace(np.cov(features, rowvar=False))
    tripled = 3 * (features - features.mean(0)) + features.mean(0)
    assert fvd.frechet_distance(features, tripled) == pytest.approx(4 * spread)


def test_bias_grows_as_clips_grow_fewer_and_the_name_says_so():
    rng = np.random.default_rng(0)
    few, many = (fvd.frechet_distance(*rng.normal(size=(2, n, 50))) for n in (60, 1000))
    assert few > 5 * many
    assert fvd.fvd_name(256) == "fvd"
    name, metric = fvd.fvd(*rng.normal(size=(2, 60, 50)), resamples=20)
    assert name == "fvd_small60"
    assert metric.low < metric.value < metric.high
    assert "N 60 true, 60 generated" in metric.protocol


def test_bad_features_and_clips_are_refused():
    with pytest.raises(MetricInputError, match="NaN"):
        fvd.frechet_distance(np.full((3, 2), np.nan), np.zeros((3, 2)))
    with pytest.raises(MetricInputError, match="two sets"):
        fvd.frechet_distance(np.zeros((1, 2)), np.zeros((3, 2)))
    with pytest.raises(MetricInputError):
        fvd.logits(lambda video: video, np.zeros((1, 9, 8, 8, 3)))
