"""`foresight bench encode` and `train` on a few clips: ratios are ratios, whatever this machine's speed."""

import math
import subprocess
import sys

import pytest

from models import weights
from models.bench import encode, loop
from models.bench.setting import BenchError
from models.memory import peak_resident
from models.provenance import WeightsError
from models.training.config import LoopConfig


def test_extraction_beside_the_bare_encoder():
    found = encode.measure("dinov2", few=4, many=8, rounds=1)
    assert (found.encoder, found.clips, list(found.peaks)) == ("dinov2", 4, [4, 8])
    assert 0 < found.ratio < math.inf
    assert 0 < found.growth < math.inf
    assert found.ratio == found.extraction / found.bare


def test_an_encoder_without_a_stand_in_is_refused():
    with pytest.raises(BenchError, match="no stand-in of an encoder 'sam'; there are dinov2 and qwen"):
        encode.measure("sam")


def test_a_fresh_process_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"fresh process failed \(.*not there"):
        encode._fresh("dinov2", tmp_path)


def test_the_peak_is_of_this_process_and_not_of_its_parent():
    held = b"x" * 300_000_000
    code = "from models.memory import peak_resident; print(peak_resident())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < len(held) < peak_resident()


def test_the_loop_beside_bare_steps():
    try:
        weights.path("lpips_alex")
    except WeightsError as error:
        pytest.skip(str(error))
    sizes = {"dim": 80, "heads": 2, "layers": 1}
    found = loop.measure(LoopConfig(batch=2, checkpoint_every=50), sizes, clips=6, steps=4, rounds=1)
    assert 0 < found.ratio < math.inf
    assert 0 <= found.data_wait <= 1
    assert 0 < found.checkpoint_share < 1
    assert found.checkpoint_every == 50
