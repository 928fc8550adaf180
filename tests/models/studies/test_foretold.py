"""What a predicted future is worth, step by step: how near, where, and which way things move."""

import numpy as np
import pytest

from models.studies.foretold import DirectionReader, direction_at, step_errors, step_frames, step_ious
from models.training.horizon import Horizon
from models.training.reconstruct import Conditionings

HORIZON = Horizon(9, 3, 2)
WAYS = ("right", "left", "up", "down")


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


def told(count: int, seed: int, known: bool) -> tuple[Conditionings, list[tuple[str, str]]]:
    """Conditionings whose hidden tokens hold the direction into each latent frame, or noise alone."""
    rng = np.random.default_rng(seed)
    pairs = [tuple(str(word) for word in rng.choice(WAYS, 2, replace=False)) for _ in range(count)]
    hidden = rng.normal(0, 1, (count, 5, 4, 6)).astype(np.float32)
    for clip, pair in enumerate(pairs):
        for step in range(1, 5):
            hidden[clip, step, :, WAYS.index(pair[0 if step <= 2 else 1])] += 4 * known
    semantic = rng.normal(0, 1, (count, 2, 3)).astype(np.float32)
    return Conditionings(np.zeros((count, 1, 5, 2, 2), np.float32), semantic, hidden), pairs


@pytest.mark.parametrize(("known", "least", "most"), [(True, 0.9, 1.0), (False, 0.0, 0.45)])
def test_a_motion_is_read_where_the_conditioning_knows_it_and_else_by_chance(known, least, most):
    made, pairs = told(160, 0, known)
    reader = DirectionReader.fit(made, (2, 2), pairs, HORIZON)
    seen, others = told(80, 1, known)
    right, null = reader.read(seen, (2, 2), others)
    assert right.shape == null.shape == (80, 3)
    assert all(least <= one <= most for one in right.mean(0))
    assert null.mean() == pytest.approx(0.25, abs=0.06)
    assert np.isnan(reader.read(seen, (2, 2), [None] * 80)[0]).all()
