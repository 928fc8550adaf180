"""What a predicted future is worth, step by step: how near, where, and which way things move."""

import numpy as np
import pytest

from models.studies.foretold import DirectionReader, direction_at, moves, step_errors, step_frames, step_ious, told
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


def pairs_of(count: int, seed: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(WAYS, 2, replace=False) for _ in range(count)]
    return [(str(first), str(second)) for first, second in drawn]


def conditioned(pairs: list[tuple[str, str]], seed: int, known: bool) -> Conditionings:
    """Conditionings whose hidden tokens hold the direction into each latent frame, or noise alone."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(0, 1, (len(pairs), 5, 4, 6)).astype(np.float32)
    for clip, pair in enumerate(pairs):
        for step in range(1, 5):
            hidden[clip, step, :, WAYS.index(pair[0 if step <= 2 else 1])] += 4 * known
    semantic = rng.normal(0, 1, (len(pairs), 2, 3)).astype(np.float32)
    return Conditionings(np.zeros((len(pairs), 1, 5, 2, 2), np.float32), semantic, hidden)


def filmed(pairs: list[tuple[str, str]], seed: int) -> np.ndarray:
    """Latents of noise that moves by a cell a latent frame, from anywhere, in the pair's directions."""
    shifts = {"right": (0, 1), "left": (0, -1), "up": (-1, 0), "down": (1, 0)}
    latents = np.empty((len(pairs), 4, 5, 8, 8), np.float32)
    latents[:, :, 0] = np.random.default_rng(seed).normal(0, 1, (len(pairs), 4, 8, 8))
    for clip, pair in enumerate(pairs):
        for step in range(1, 5):
            shift = shifts[pair[0 if step <= 2 else 1]]
            latents[clip, :, step] = np.roll(latents[clip, :, step - 1], shift, (1, 2))
    return latents


@pytest.mark.parametrize(("known", "least", "most"), [(True, 0.9, 1.0), (False, 0.0, 0.45)])
def test_a_direction_is_read_where_the_conditioning_holds_it_and_else_by_chance(known, least, most):
    pairs, others = pairs_of(160, 0), pairs_of(80, 1)
    seen, unseen = (told(conditioned(some, n, known), (2, 2), HORIZON) for n, some in enumerate((pairs, others)))
    reader = DirectionReader.fit(seen, pairs, HORIZON)
    right, null = reader.read(unseen, others)
    assert right.shape == null.shape == (80, 3)
    assert all(least <= one <= most for one in right.mean(0))
    assert null.mean() == pytest.approx(0.25, abs=0.06)
    assert np.isnan(reader.read(unseen, [None] * 80)[0]).all()


def test_motion_is_read_from_latents_that_move_and_not_from_a_frame_that_stands_still():
    pairs, others = pairs_of(160, 2), pairs_of(80, 3)
    reader = DirectionReader.fit(moves(filmed(pairs, 4), HORIZON), pairs, HORIZON)
    came = filmed(others, 5)
    still = came.copy()
    still[:, :, HORIZON.known :] = came[:, :, HORIZON.known - 1 : HORIZON.known]
    assert (reader.read(moves(came, HORIZON), others)[0].mean(0) > 0.9).all()
    assert (reader.read(moves(still, HORIZON), others)[0].mean(0) < 0.45).all()


def test_what_moves_out_of_the_frame_does_not_come_in_at_the_other_side():
    latents = np.zeros((1, 1, 5, 3, 3), np.float32)
    latents[0, 0, 1, 1, 2] = latents[0, 0, 2, 1, 0] = 1
    assert not moves(latents, HORIZON)[2].any()
    latents[0, 0, 2, 1, 1] = 1  # one cell to the left
    assert moves(latents, HORIZON)[2][0, 0].nonzero()[0].tolist() == [3]
