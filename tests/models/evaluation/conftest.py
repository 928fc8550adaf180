"""Weights of the metrics for the tests that need them: fetched once into the cache; without an index they skip."""

import os
from pathlib import Path

import numpy as np
import pytest

from models import weights
from models.evaluation.lpips import Lpips


def fetched(name: str) -> Path:
    try:
        return weights.fetch([name])[name]
    except weights.WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def lpips_alex() -> Lpips:
    fetched("lpips_alex")
    return Lpips("alex")


@pytest.fixture(scope="session")
def real_clips() -> Path:
    folder = Path(os.environ.get("FORESIGHT_CLIPS", Path(__file__).parents[4] / "shared" / "data" / "clips"))
    if not folder.is_dir():
        pytest.skip(f"{folder}: no folder of real clips; set FORESIGHT_CLIPS")
    return folder


@pytest.fixture
def moving_square() -> tuple[np.ndarray, np.ndarray]:
    """Two clips [2, 9, 64, 64, 3] of a bright square on a dark ground, one goes right, one down; and their masks."""
    masks = np.zeros((2, 9, 64, 64), np.uint8)
    for t in range(9):
        masks[0, t, 20:36, 4 + 4 * t : 20 + 4 * t] = 1
        masks[1, t, 4 + 4 * t : 20 + 4 * t, 20:36] = 1
    ground = np.random.default_rng(0).integers(20, 60, (2, 1, 64, 64, 3), dtype=np.uint8)
    return np.where(masks[..., None] > 0, np.uint8(220), ground).astype(np.uint8), masks
