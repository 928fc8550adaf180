"""Encoders by name: nothing heavy is imported before one is asked for."""

import subprocess
import sys

from models.encoders.registry import ENTRIES, NAMES
from tests.models.encoders import small

HEAVY = ("torch", "transformers", "timm")


def test_the_registry_imports_no_library():
    code = f"import sys, models.encoders.registry; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_has_a_small_encoder_that_is_tested():
    assert set(NAMES) <= set(small.NAMES)


def test_a_name_gives_its_own_class(encoder):
    for name in NAMES:
        assert type(encoder(name)).__name__ == ENTRIES[name].encoder
