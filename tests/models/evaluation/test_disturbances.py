"""Each disturbance does what its name says, and nothing else."""

import numpy as np
import pytest

from models.data.moving_shapes import render_clip
from models.evaluation.disturbances import DISTURBANCES, remove_objects, shift, shuffle


@pytest.fixture(scope="module")
def clips():
    made = [render_clip(seed) for seed in (0, 1, 5)]  # some others go there and back, the same played backwards
    return np.stack([clip.frames for clip in made]), np.stack([clip.masks for clip in made])


@pytest.mark.parametrize("name", DISTURBANCES)
def test_every_disturbance_changes_every_clip_and_keeps_its_shape(clips, name):
    frames, masks = clips
    before = frames.copy()
    spoiled = DISTURBANCES[name].apply(frames, masks)
    assert (spoiled.shape, spoiled.dtype) == (frames.shape, np.uint8)
    assert (spoiled != frames).any((1, 2, 3, 4)).all()
    assert np.array_equal(frames, before)


def test_removing_objects_leaves_the_ground_alone(clips):
    frames, masks = clips
    painted = remove_objects(frames, masks)
    far = ~np.stack([np.stack([_near(frame) for frame in clip]) for clip in masks.astype(bool)])
    assert np.array_equal(painted[far], frames[far])
    assert (painted != frames).any(-1)[masks > 0].mean() > 0.9
    with pytest.raises(ValueError, match="there are none"):
        remove_objects(frames, None)


def _near(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    return padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]


def test_a_shift_moves_by_a_sixteenth(clips):
    frames, _ = clips
    assert np.array_equal(shift(frames)[..., 4:, :], frames[..., :-4, :])


def test_shuffled_frames_are_all_there_and_none_follows_its_own(clips):
    frames = np.arange(7, dtype=np.uint8)[None, :, None, None, None].repeat(3, -1)
    order = shuffle(frames)[0, :, 0, 0, 0]
    assert sorted(order) == list(range(7))
    assert not (np.diff(order.astype(int)) == 1).any()
