"""Temporal LPIPS variance against the package's own distances, and the companions that keep a still clip honest."""

import numpy as np
import torch

from models.evaluation.evaluate import Reference, reconstruction_metrics
from models.evaluation.lpips import to_signed
from models.evaluation.temporal import temporal_lpips_variance


def test_it_is_the_variance_of_lpips_between_consecutive_frames(lpips_alex, moving_square):
    frames, _ = moving_square
    made = frames.copy()
    made[:, 5] = 255 - made[:, 5]
    values = reconstruction_metrics(Reference(frames, lpips_alex), made)
    for name, clips in (("temporal_lpips_variance", made), ("temporal_lpips_variance_true", frames)):
        with torch.no_grad():
            shown = [to_signed(clip) for clip in clips]
            steps = np.stack([lpips_alex.model(clip[:-1], clip[1:]).flatten().double().numpy() for clip in shown])
        np.testing.assert_allclose(values[name], ((steps - steps.mean(1, keepdims=True)) ** 2).mean(1), rtol=1e-3)


def test_by_hand():
    np.testing.assert_allclose(temporal_lpips_variance(np.array([[0.1, 0.3], [0.2, 0.2]])), [0.01, 0], atol=1e-15)


def test_a_still_clip_scores_nought_and_its_companions_say_why(lpips_alex, moving_square):
    frames, _ = moving_square
    still = np.repeat(frames[:, :1], frames.shape[1], axis=1)
    values = reconstruction_metrics(Reference(frames, lpips_alex), still)
    assert (values["temporal_lpips_variance"] == 0).all()
    assert (values["dynamic_degree"] == 0).all()
    assert (values["temporal_lpips_variance_true"] > 0).all()
    assert (values["dynamic_degree_true"] > 0).all()
