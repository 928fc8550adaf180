"""Maps of difference lie where the difference is, and no network judges what it helped to train."""

import numpy as np
import pytest
import torch

from models.evaluation.lpips import Lpips, clip_lpips
from models.predict.differences import (
    CircularityError,
    LpipsDiffer,
    MobileSamDiffer,
    mean,
    measures,
    require_independent,
    worst,
)
from tests.models.encoders import small

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


def between(differ, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return differ.apart(differ.see(first), differ.see(second))


@pytest.fixture(scope="module")
def changed():
    """A corner of the second frame is another."""
    frames = FRAMES.copy()
    frames[1, :24, :24] = 255 - frames[1, :24, :24]
    return frames


@pytest.fixture(scope="module")
def vgg():
    return LpipsDiffer(Lpips("vgg"))


def test_the_mean_of_lpips_by_place_is_lpips(vgg, changed):
    maps = between(vgg, changed, FRAMES)
    assert maps.shape == (2, 16, 16)
    assert mean(maps) == pytest.approx(clip_lpips(vgg.model, FRAMES[None], changed[None])[0], rel=1e-4)


def test_lpips_differs_where_the_frames_do(vgg, changed):
    maps = between(vgg, changed, FRAMES)
    assert maps[0].max() == pytest.approx(0, abs=1e-6)
    assert maps[1, :5, :5].mean() > 5 * maps[1, 11:, 11:].mean()


def test_mobile_sams_map_covers_the_frame_and_leaves_the_padding_out(changed):
    differ = MobileSamDiffer(small.mobile_sam())
    maps = between(differ, changed, FRAMES)
    assert maps.shape == (2, 16, 16)
    assert maps[0].max() == pytest.approx(0, abs=1e-5)
    assert maps[1, :5, :5].mean() > maps[1, 11:, 11:].mean()
    assert between(differ, changed[:, :32], FRAMES[:, :32]).shape == (2, 8, 16)


def test_the_worst_tenth_sees_a_small_thing_in_a_still_picture():
    maps = np.zeros((1, 10, 10))
    maps[0, 0, :] = 1.0
    assert mean(maps) == pytest.approx(0.1)
    assert worst(maps) == pytest.approx(1.0)


def test_every_network_has_every_pool_and_says_its_kin(vgg):
    made = {one.name: one for one in measures({"lpips_vgg": vgg})}
    assert set(made) == {"lpips_vgg_mean", "lpips_vgg_worst"}
    assert "AlexNet" in made["lpips_vgg_mean"].kin
    assert MobileSamDiffer.kin == ""


def test_what_trained_may_not_judge(vgg):
    require_independent(vgg, {"another"})
    with pytest.raises(CircularityError, match="took part in the training"):
        require_independent(vgg, {vgg.weights_sha256})


def test_the_differences_have_no_gradient(vgg, changed):
    assert isinstance(between(vgg, changed, FRAMES), np.ndarray)
    assert not any(parameter.requires_grad for parameter in vgg.model.parameters())
    assert torch.is_grad_enabled()
