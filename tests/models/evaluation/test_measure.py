"""All metrics of pairs of clips: of one and of several, of one size and of two, with and without more networks."""

import numpy as np
import pytest

from models.evaluation import inputs
from models.evaluation.evaluate import Reference, reconstruction_metrics
from models.evaluation.lpips import clip_lpips
from models.evaluation.measure import measure
from models.evaluation.pairs import Clips

ALWAYS = {"lpips", "lpips_vgg", "edge_f1", "dynamic_degree", "dynamic_degree_true"}
IN_TIME = {"temporal_lpips_variance", "temporal_lpips_variance_true"}


def noise(clips: int, frames: int = 4, size: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (clips, frames, size, size, 3), np.uint8)


def test_one_clip_has_values_without_intervals_and_no_fvd():
    clip = noise(1)
    metrics = measure([Clips(["a"], clip, clip)])
    assert metrics.keys() == ALWAYS | IN_TIME
    assert metrics["edge_f1"].value == 1
    assert metrics["lpips"].value == pytest.approx(0, abs=1e-6)
    assert all((metric.n, metric.low) == (1, None) for metric in metrics.values())


def test_sizes_are_counted_together_and_the_protocol_says_so(lpips_alex):
    groups = [
        Clips(["a", "b"], noise(2), noise(2, seed=1)),
        Clips(["c"], noise(1, 2, 48), noise(1, 2, 48, seed=1)),
    ]
    metrics = measure(groups)
    assert metrics["lpips"].n == 3
    assert metrics["lpips"].protocol.endswith("; clips of several sizes")
    each = [clip_lpips(lpips_alex, clips.reference, clips.generated) for clips in groups]
    assert metrics["lpips"].value == pytest.approx(np.concatenate(each).mean(), rel=1e-5)
    assert metrics["temporal_lpips_variance"].n == 2
    assert metrics["fvd_small3"].value > 0


def test_captions_add_semantic_consistency():
    said = {3: "a red disc moves left", 4: "two squares stand still"}
    groups = [Clips(["a"], noise(1, 3), noise(1, 3, seed=1)), Clips(["b"], noise(1), noise(1))]
    metrics = measure(groups, captioner=lambda frames: [said[frames.shape[1]]] * len(frames))
    assert metrics["semantic_consistency"].value == pytest.approx(1)
    assert metrics["semantic_consistency_null"].value is None


def test_a_long_clip_is_looked_at_in_pieces(monkeypatch, lpips_alex):
    """A piece ends amid a clip: the step over its end counts like any other, a step from clip to clip never."""
    true, made = noise(2, 5), noise(2, 5, seed=1)
    whole = reconstruction_metrics(Reference(true, lpips_alex), made)
    monkeypatch.setattr(inputs, "PIXELS_AT_ONCE", 3 * 32 * 32)
    seen, original = [], type(lpips_alex).features
    monkeypatch.setattr(
        type(lpips_alex), "features", lambda self, frames: seen.append(len(frames)) or original(self, frames)
    )
    pieces = reconstruction_metrics(Reference(true, lpips_alex), made)
    assert max(seen) == 3
    for name, values in pieces.items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-4)
    alone = reconstruction_metrics(Reference(true[1:], lpips_alex), made[1:])
    np.testing.assert_allclose(alone["temporal_lpips_variance"], whole["temporal_lpips_variance"][1:], rtol=1e-4)
