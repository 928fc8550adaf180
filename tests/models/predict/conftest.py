"""One toy predictor for all tests."""

import pytest

from tests.models.predict import toy


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Phase 3's checkpoint."""
    return toy.phase3(tmp_path_factory.mktemp("phases")).checkpoint


@pytest.fixture(scope="session")
def predictor(tmp_path_factory, start):
    """The predictor's checkpoint."""
    return toy.train(tmp_path_factory.mktemp("predictor"), start).checkpoint
