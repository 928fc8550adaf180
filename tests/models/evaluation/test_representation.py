"""Probes of frozen tokens: right of clips as they are, wrong where the answer was taken out of them."""

import numpy as np
import pytest

from models.data.moving_shapes import render_clip
from models.encoders.registry import load_encoder
from models.evaluation.baselines import copy_last
from models.evaluation.inputs import MetricInputError
from models.evaluation.representation import Labelled, Probes
from models.standins import shelf


def labelled(seed: int, clips: int) -> Labelled:
    made = [render_clip(seed + k) for k in range(clips)]
    return Labelled(
        np.stack([clip.frames for clip in made]),
        np.stack([clip.masks for clip in made]),
        [clip.directions for clip in made],
    )


@pytest.fixture(scope="module")
def probes() -> Probes:
    spatial = load_encoder("dinov2", shelf.folder("dinov2"), stride=2)
    return Probes.fit(spatial, load_encoder("qwen", shelf.folder("qwen"), stride=1), labelled(0, 96))


def test_what_is_in_the_tokens_is_read_and_what_was_taken_out_is_not(probes):
    true = labelled(10_000, 24)
    read = probes.reader(true)
    values, precision = read(true.frames)
    still, _ = read(copy_last(true.frames, known=1))
    assert {name: value.shape for name, value in values.items()} == dict.fromkeys(values, (24,))
    assert values["bbox_iou"].mean() > 0.35
    assert precision > 0.35
    assert values["direction"].mean() > still["direction"].mean() + 0.2
    assert np.nanmean(values["temporal_ordering"]) > np.nanmean(still["temporal_ordering"]) + 0.2
    assert still["bbox_iou"].mean() < values["bbox_iou"].mean()


def test_other_clips_than_the_truths_are_refused(probes):
    with pytest.raises(MetricInputError, match="for truths of"):
        probes.reader(labelled(0, 3))(np.zeros((2, 9, 64, 64, 3), np.uint8))
