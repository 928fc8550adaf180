"""Each small encoder is built once for all tests; MobileSAM's weights are fetched once, or its tests skipped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models import weights
from models.encoders.base import Encoder
from tests.models.encoders import small


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> Callable[[str], Encoder]:
    made: dict[str, Encoder] = {}

    def of(name: str) -> Encoder:
        if name not in made:
            made[name] = small.load(name, tmp_path_factory.mktemp(name))
        return made[name]

    return of


@pytest.fixture(scope="session")
def mobile_sam_folder() -> Path:
    try:
        return weights.fetch(["mobile_sam"])["mobile_sam"]
    except weights.WeightsError as error:
        pytest.skip(str(error))
