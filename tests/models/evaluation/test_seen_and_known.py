"""What was looked at or measured before is found again, bit for bit; whatever changed is measured anew."""

import numpy as np
import pytest
import torch

from models.evaluation.evaluate import Reference, reconstruction_metrics
from models.evaluation.known import Known, KnownError
from models.evaluation.seen import Seen


def clips(seed: int, n: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 4, 32, 32, 3), np.uint8)


class Counting:
    """A look at frames that counts them: their sums and their first pixels."""

    def __init__(self):
        self.shown = 0

    def __call__(self, frames: np.ndarray) -> list[torch.Tensor]:
        self.shown += len(frames)
        return [torch.from_numpy(frames.sum((1, 2, 3))), torch.from_numpy(frames[:, 0, 0].copy())]


@pytest.mark.parametrize("most_bytes", [10**9, 0])
def test_a_look_gives_the_same_whether_it_remembers_or_not(most_bytes):
    look, frames = Counting(), clips(0).reshape(-1, 32, 32, 3)
    seen, again = Seen(look, most_bytes), frames[[3, 3, 0, 7]]
    for shown in (frames, again):
        for made, plain in zip(seen(shown), Counting()(shown), strict=True):
            assert torch.equal(made, plain)
    assert seen.given == len(frames) + 4
    assert seen.looked == look.shown == len(frames) + (0 if most_bytes else 3)


def test_known_clips_are_not_measured_and_keep_every_bit(lpips_alex, tmp_path, monkeypatch):
    true, made = clips(0), clips(1)
    made[1] = 128  # constant: Edge F1 against an edgeless clip, variance 0
    first = reconstruction_metrics(Reference(true, lpips_alex, known=Known(tmp_path / "k.db", "code")), made)
    plain = reconstruction_metrics(Reference(true, lpips_alex), made)
    monkeypatch.setattr(type(lpips_alex), "features", lambda *_: pytest.fail("measured again"))
    second = reconstruction_metrics(Reference(true, lpips_alex, known=Known(tmp_path / "k.db", "code")), made)
    for values in (first, second):
        assert values.keys() == plain.keys()
        for name in plain:
            np.testing.assert_array_equal(values[name], plain[name])
    some = [2, 0]  # any clips that are all known, in any order
    part = reconstruction_metrics(Reference(true[some], lpips_alex, known=Known(tmp_path / "k.db", "code")), made[some])
    np.testing.assert_array_equal(part["lpips"], plain["lpips"][some])


@pytest.mark.parametrize("what", ["a true pixel", "a made pixel", "a true mask", "the code", "the network"])
def test_whatever_changed_is_measured_anew(what, lpips_alex, tmp_path, monkeypatch):
    true, made, masks = clips(0), clips(1), np.ones((3, 4, 32, 32), np.uint8)
    file = tmp_path / "k.db"
    reconstruction_metrics(Reference(true, lpips_alex, masks=masks, known=Known(file, "code")), made)
    code, measured, original = "code", [], type(lpips_alex).features
    if what == "a true pixel":
        true[2, 3, 31, 31, 2] ^= 1
    elif what == "a made pixel":
        made[0, 0, 0, 0, 0] ^= 1
    elif what == "a true mask":
        masks[1, 2, 5, 5] = 0
    elif what == "the code":
        code = "code, one line changed"
    else:
        monkeypatch.setattr(lpips_alex, "weights_sha256", 64 * "0")
    monkeypatch.setattr(type(lpips_alex), "features", lambda self, x: measured.append(len(x)) or original(self, x))
    reconstruction_metrics(Reference(true, lpips_alex, masks=masks, known=Known(file, code)), made)
    assert sum(measured) > 0


def test_rows_are_all_or_nothing_and_survive_only_whole(tmp_path):
    known = Known(tmp_path / "k.db", "x")
    keys = [known.key(text) for text in "ab"]

    def broken():
        yield 1
        raise ValueError("killed here")

    with pytest.raises(ValueError, match="killed"):
        known.rows(keys, broken)
    assert known.rows(keys[:1], lambda: ["made"]) == ["made"]
    assert known.rows(keys, lambda: [float("nan"), 0.1]) == [pytest.approx(float("nan"), nan_ok=True), 0.1]
    assert known.rows(keys[1:], lambda: pytest.fail("known already")) == [0.1]


def test_a_key_tells_apart_what_runs_together(tmp_path):
    known = Known(tmp_path / "k.db", "x")
    zeros = np.zeros((2, 8), np.uint8)
    different = [("ab", "c"), ("a", "bc"), ("abc",), (zeros,), (zeros.reshape(4, 4),), (zeros.view(np.int8),)]
    assert len({known.key(*contents) for contents in different}) == len(different)


def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path):
    (tmp_path / "k.db").write_bytes(b"no database at all, but long enough to be read as one" * 40)
    with pytest.raises(KnownError, match=r"k\.db: .*; remove it"):
        Known(tmp_path / "k.db", "x").rows(["a"], lambda: [1])
