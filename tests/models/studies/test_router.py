"""The router finds a need that the tokens show, and none where they show nothing."""

import numpy as np
import pytest

from models.studies.router import Router, RouterError, features, neediest

RNG = np.random.default_rng(0)


def clips(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens whose mean shows in one of 12 dimensions how much the clip needs."""
    need = RNG.normal(0, 1, count)
    tokens = RNG.normal(0, 1, (count, 5, 4, 12))
    tokens[..., 3] += need[:, None, None]
    return tokens.astype(np.float16), need


def test_a_need_that_is_shown_is_found_on_other_clips():
    (train, need), (other, wanted) = clips(100), clips(60)
    found = Router.fit(features(train), need).expected(features(other))
    assert np.corrcoef(found, wanted)[0, 1] > 0.8


def test_a_need_that_is_not_shown_is_not_found():
    train, _ = clips(100)
    other, _ = clips(200)
    found = Router.fit(features(train), RNG.normal(0, 1, 100)).expected(features(other))
    assert abs(np.corrcoef(found, RNG.normal(0, 1, 200))[0, 1]) < 0.3


def test_features_are_of_the_clip_and_not_of_the_order_of_its_tokens():
    tokens, _ = clips(2)
    assert features(tokens[:, ::-1, ::-1]) == pytest.approx(features(tokens), abs=1e-5)
    assert features(tokens).shape == (2, 24)


def test_the_neediest_are_those_with_the_largest_expected_gains():
    assert neediest(np.array([0.1, 0.4, 0.2, 0.3]), 0.5).tolist() == [False, True, False, True]
    assert neediest(np.ones(4), 0.25).tolist() == [True, False, False, False]
    assert not neediest(np.ones(4), 0).any()
    assert neediest(np.ones(4), 1).all()


def test_too_few_clips_and_gains_that_are_not_numbers_are_refused():
    tokens, need = clips(30)
    with pytest.raises(RouterError, match="at least 20"):
        Router.fit(features(tokens[:10]), need[:10])
    need[2] = np.nan
    with pytest.raises(RouterError, match="not finite"):
        Router.fit(features(tokens), need)
