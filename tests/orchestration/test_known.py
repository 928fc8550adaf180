"""Captions of the same clips are asked of the VLM once; other weights, code or batches are other rows."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from orchestration.stages import known as known_rows
from orchestration.stages.inputs import Inputs


class Vlm:
    """Says how bright each clip is, and counts what it was shown."""

    def __init__(self, weights_sha256: str = "a"):
        self.weights_sha256, self.shown = weights_sha256, 0

    def caption(self, frames: torch.Tensor) -> list[str]:
        self.shown += len(frames)
        return [f"brightness {int(clip.float().mean())}" for clip in frames]


def inputs(home, vlm: Vlm, batch: int = 2, device: str = "cpu") -> Inputs:
    weights = SimpleNamespace(qwen=SimpleNamespace(precision="float32"))
    profile = SimpleNamespace(evaluation=SimpleNamespace(batch=batch), device=device, weights=weights)
    job: Any = SimpleNamespace(profile=profile, home=home)
    made = Inputs(job)
    made.__dict__["qwen"] = vlm  # as its cached property would keep it
    return made


@pytest.fixture
def clips() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8, 3), np.uint8)


def test_the_vlm_is_asked_once_whoever_asks_and_in_any_order(tmp_path, clips):
    first, second = Vlm(), Vlm()
    said = inputs(tmp_path, first).caption(clips)
    assert inputs(tmp_path, second).caption(clips[::-1]) == said[::-1]
    assert (first.shown, second.shown) == (5, 0)


@pytest.mark.parametrize("changed", ["weights", "batch", "code", "a pixel"])
def test_whatever_changed_is_asked_anew(tmp_path, clips, changed, monkeypatch):
    inputs(tmp_path, Vlm()).caption(clips)
    vlm = Vlm("b" if changed == "weights" else "a")
    if changed == "code":
        monkeypatch.setattr(known_rows, "source_sha256", lambda *_: "another")
    if changed == "a pixel":
        clips[4, 2, 7, 7, 2] ^= 1
    inputs(tmp_path, vlm, batch=3 if changed == "batch" else 2).caption(clips)
    assert vlm.shown == 5
