"""The losses of the three phases are those that were recorded: who changes them does it on purpose."""

import json

import pytest

from tests.models.training import runs
from tests.models.training.record_losses import RECORDED, measure

# Ten times the most that rounding was seen to change: 3e-6, over 1 to 4 threads and over the instruction sets that
# torch, MKL and oneDNN may use (AVX-512, AVX2, none).
TOLERANCE = 3e-5


@pytest.fixture(scope="module")
def measured() -> dict[str, list[float]]:
    return measure()


@pytest.mark.parametrize("phase", runs.PHASES)
def test_losses_are_those_recorded(measured, phase):
    recorded = json.loads(RECORDED.read_text())[phase]
    assert measured[phase] == pytest.approx(recorded, rel=TOLERANCE), (
        f"{phase} trains differently than recorded; if that is meant, record the losses anew with "
        "`.venv/bin/python -m tests.models.training.record_losses` and commit losses.json with the change"
    )
