"""Evaluation documents for the gate tests: one that is GO in each phase, to be spoilt one thing at a time."""

from __future__ import annotations

from typing import Any

from orchestration.documents import Evaluation, parse_evaluation
from orchestration.plan.programme import load

GOOD = {
    "spatial_iou": 0.80,
    "lpips": 0.20,
    "bbox_iou": 0.60,
    "edge_f1": 0.75,
    "temporal_ordering": 0.92,
    "semantic_consistency": 0.90,
    "fvd": 100.0,
    "temporal_lpips_variance": 0.01,
    "latency_s": 1.0,
    "vram_gb": 20.0,
}
BLIND = {
    "vlm_only": {"spatial_iou": 0.50, "lpips": 0.40, "temporal_ordering": 0.92, "semantic_consistency": 0.90},
    "dino_only": {"spatial_iou": 0.80, "lpips": 0.20, "temporal_ordering": 0.60, "semantic_consistency": 0.50},
}


PROTOCOL = "; ".join(word for metric in load().metrics.values() for word in metric.protocol)
"""Whatever is measured here is measured by the programme's protocols."""


def metric(value: float | None, half: float = 0.001, n: int = 256, protocol: str = PROTOCOL) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - half, value + half)
    return {"value": value, "low": low, "high": high, "n": n, "protocol": protocol}


def document(phase: int = 1, **metrics: Any) -> dict[str, Any]:
    """A document that is GO, but for the metrics given; None leaves one out."""
    measured = {name: metric(value) for name, value in GOOD.items()} | metrics
    return {
        "schema": "foresight.evaluation/1",
        "phase": phase,
        "profile": "laptop",
        "standins": True,
        "data_version": "data-1",
        "code_commit": "c0ffee",
        "weights": {"vae": "ab"},
        "runs": {"hybrid": "run-1"},
        "n_clips": 256,
        "metrics": {name: value for name, value in measured.items() if value is not None},
        "arms": {
            "hybrid": {name: metric(value) for name, value in GOOD.items()},
            **{arm: {name: metric(value) for name, value in values.items()} for arm, values in BLIND.items()},
        }
        if phase == 2
        else {},
        "baselines": {},
    }


def evaluation(phase: int = 1, **metrics: Any) -> Evaluation:
    return parse_evaluation(document(phase, **metrics))
