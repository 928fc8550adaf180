"""What a predicted future is worth, step by step: how near, where, and which way things move."""

import numpy as np
import pytest

from models.studies.foretold import DirectionReader, direction_at, step_errors, step_frames, step_ious
from models.training.horizon import Horizon

HORIZON = Horizon(9, 3, 2)
WAYS = {"right": (0, 1), "left": (0, -1), "up": (-1, 0), "down": (1, 0)}


def moving(count: int, seed: int) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Latents [N, 1, 5, 8, 8] with one bright cell that turns after the third latent frame."""
    rng = np.random.default_rng(seed)
    latents, pairs = np.zeros((count, 1, 5, 8, 8), np.float32), []
    for clip in range(count):
        pair = tuple(str(word) for word in rng.choice(list(WAYS), 2, replace=False))
        place = rng.integers(3, 5, 2)
        for step in range(5):
            latents[clip, 0, step, place[0] % 8, place[1] % 8] = 1
            place = place + WAYS[pair[0 if step < 2 else 1]]
        pairs.append(pair)
    return latents, pairs


def test_the_steps_show_every_frame_once():
    shown = [frame for step in range(HORIZON.latent_frames) for frame in range(9)[step_frames(HORIZON, step)]]
    assert shown == list(range(9))


def test_errors_and_overlaps_are_of_the_future_alone():
    true, made = np.zeros((2, 3, 5, 4, 4)), np.zeros((2, 3, 5, 4, 4))
    made[:, :, :2] = 7  # known frames
    made[0, :, 3] = 2
    assert step_errors(made, true, 2).tolist() == [[0, 4, 0], [0, 0, 0]]
    masks, found = np.zeros((1, 9, 4, 4), bool), np.zeros((1, 9, 4, 4), bool)
    masks[:, :, 0, 0], found[:, :, 0, 0] = True, True
    found[:, 7:, 0, 0], found[:, 7:, 3, 3] = False, True
    assert step_ious(found, masks, HORIZON).tolist() == [[1, 1, 0]]


def test_clips_turn_in_their_middle():
    given = [("up", "left"), None]
    assert [direction_at(given, HORIZON, step) for step in (2, 3)] == [[("up", "up"), None], [("left", "left"), None]]


def test_a_motion_is_read_from_true_latents_and_not_from_a_still_frame():
    train, told = moving(120, 0)
    reader = DirectionReader.fit(train, told, HORIZON)
    heldout, pairs = moving(60, 1)
    right = reader.right(heldout, pairs)
    assert right.shape == (60, 3)
    assert right.mean(0) == pytest.approx([1, 1, 1], abs=0.15)
    still = np.concatenate([heldout[:, :, :2], heldout[:, :, 1:2].repeat(3, axis=2)], axis=2)
    assert reader.right(still, pairs)[:, 1:].mean() < 0.6
    assert np.isnan(reader.right(heldout[:1], [None])).all()
