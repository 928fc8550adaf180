"""The content probe: finds what the tokens hold, at chance where they hold nothing, deaf to what is said most."""

import numpy as np
import pytest

from models.evaluation.content import ContentProbe, contents, telling
from models.evaluation.inputs import MetricInputError

COLOURS, KINDS = ("red", "green", "blue", "white"), ("circle", "square", "ring")


def clips(count: int, seed: int, informative: bool = True):
    """Pooled tokens [N, 5, 12] in which colour and kind are mixed, and captions; half of the clips are red."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(7, 12))
    colour = rng.choice(4, count, p=[0.5, 0.2, 0.2, 0.1])
    kind = rng.integers(0, 3, count)
    shown = np.concatenate([np.eye(4)[colour], np.eye(3)[kind]], axis=1) * informative
    tokens = (shown @ mixing)[:, None] + rng.normal(0, 0.3, (count, 5, 12))
    return tokens, [f"A {COLOURS[c]} {KINDS[k]} moves." for c, k in zip(colour, kind, strict=True)]


def test_finds_content_where_it_is():
    assert ContentProbe.fit(*clips(300, 0)).read(*clips(100, 1)).mean() > 0.95


def test_is_at_chance_where_it_is_not():
    value = ContentProbe.fit(*clips(300, 0, informative=False)).read(*clips(300, 1, informative=False))
    assert value.mean() == pytest.approx(0.5, abs=0.05)


def test_the_same_tokens_for_every_clip_are_at_chance_exactly():
    tokens, captions = clips(100, 1)
    value = ContentProbe.fit(*clips(300, 0)).read(np.repeat(tokens[:1], 100, axis=0), captions)
    differ = np.array([[a != b for b in captions] for a in captions])
    # Of two clips of unlike content one wins what the other loses.
    assert (value * differ.sum(1)).sum() / differ.sum() == pytest.approx(0.5, abs=1e-12)


def test_words_that_all_or_hardly_any_captions_have_tell_nothing():
    captions = [f"a {COLOURS[k % 2]} box" for k in range(100)]
    assert telling([*captions, "a rare box"]) == ("green", "red")
    assert contents(["a red box", "RED, green"], ("green", "red")).tolist() == [[0, 1], [1, 1]]
    with pytest.raises(MetricInputError, match="no word tells"):
        ContentProbe.fit(np.zeros((4, 1, 2)), 4 * ["a box"])


def test_clips_of_equal_content_alone_are_undefined_and_shapes_are_checked():
    tokens, captions = clips(60, 0)
    probe = ContentProbe.fit(tokens, captions)
    assert np.isnan(probe.read(tokens[:3], 3 * captions[:1])).all()
    with pytest.raises(MetricInputError, match="60 train clips, 59 captions"):
        ContentProbe.fit(tokens, captions[1:])
    with pytest.raises(MetricInputError, match=r"fitted on \(5, 12\) a clip, given \(60, 3, 12\)"):
        probe.read(tokens[:, :3], captions)
