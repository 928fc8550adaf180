"""PCA maps: colours tell apart what the tokens tell apart, the same over the frames, and say how much they hold."""

import numpy as np
import pytest

from models.evaluation.principal import principal_map


def tokens(seed: int = 0) -> np.ndarray:
    """Two kinds of token, an object's and the ground's, under little noise: [3, 16, 12]."""
    rng = np.random.default_rng(seed)
    kinds = rng.standard_normal((2, 12))
    there = np.zeros((3, 16), int)
    there[:, :4] = 1
    return kinds[there] + 0.01 * rng.standard_normal((3, 16, 12))


def test_an_object_has_another_colour_than_the_ground_in_every_frame():
    found = principal_map(tokens())
    first = found.colours[..., 0]
    objects, ground = first[:, :4], first[:, 4:]
    assert abs(objects.mean() - ground.mean()) > 0.9
    assert max(objects.std(), ground.std()) < 0.05
    assert found.explained[0] > 0.98
    assert found.explained == tuple(sorted(found.explained, reverse=True))


def test_the_map_does_not_depend_on_a_rotation_of_the_tokens():
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))
    plain, rotated = principal_map(tokens()), principal_map(tokens() @ rotation)
    np.testing.assert_allclose(plain.explained, rotated.explained, rtol=1e-6)
    apart = np.abs(plain.colours[..., 0] - rotated.colours[..., 0])
    assert min(apart.max(), np.abs(1 - plain.colours[..., 0] - rotated.colours[..., 0]).max()) < 1e-4


def test_equal_tokens_are_grey():
    found = principal_map(np.ones((2, 4, 5)))
    assert np.all(found.colours == 0.5)
    assert found.explained == (0, 0, 0)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros((4, 5)), "not .T, N, D."),
        (np.zeros((1, 3, 5)), "at least 4 tokens"),
        (np.full((2, 4, 5), np.nan), "NaN or infinite"),
    ],
)
def test_tokens_without_components_are_refused(given, says):
    with pytest.raises(ValueError, match=says):
        principal_map(given)
