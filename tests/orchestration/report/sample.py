"""A programme that ran: documents, log and figures, as a run would leave them in a home. Its numbers are made up."""

import functools

import numpy as np

from models.data.moving_shapes import render_clip
from orchestration.documents import Evaluation, MetricValue, parse_evaluation
from orchestration.home import Home
from orchestration.report import figures
from tests.orchestration.evaluations import PROTOCOL

HASH = "4f1c0ae6b2d97c3358e1d0f4a9b87c6e5d4c3b2a190817263544536271809fab"


def measured(value: float, half: float = 0.012, n: int = 128) -> dict:
    return MetricValue(value=value, low=value - half, high=value + half, n=n, protocol=PROTOCOL).document()


def evaluation(
    phase: int, metrics: dict, arms: dict | None = None, baselines: dict | None = None, **changes
) -> Evaluation:
    document = {
        "schema": "foresight.evaluation/1",
        "phase": phase,
        "profile": "laptop",
        "standins": True,
        "data_version": "9c2f41d07ab3e885.dir",
        "code_commit": "1f6e0b7c2a9d4483b5c6d7e8f90a1b2c3d4e5f60",
        "weights": {"dinov2": HASH, "vae": HASH[::-1], **({} if phase == 1 else {"qwen": HASH[8:] + HASH[:8]})},
        "runs": {"hybrid": "a81f3c5d7e9b42608c1d2e3f4a5b6c7d"},
        "n_clips": 128,
        "metrics": metrics,
        "arms": arms or {},
        "baselines": baselines or {},
    }
    return parse_evaluation(document | changes)


def phase1(**changes) -> Evaluation:
    metrics = {"spatial_iou": measured(0.842), "lpips": measured(0.131), "lpips_vgg": measured(0.19),
               "bbox_iou": measured(0.61), "map50": measured(0.66, 0.03), "edge_f1": measured(0.71)}  # fmt: skip
    baselines = {
        "vae_roundtrip": {"spatial_iou": measured(0.91), "lpips": measured(0.098), "edge_f1": measured(0.8)},
        "copy_last": {"spatial_iou": measured(0.42), "lpips": measured(0.29), "edge_f1": measured(0.5)},
        "mean_frame": {"spatial_iou": measured(0.38), "lpips": measured(0.41), "edge_f1": measured(0.31)},
        "shuffled": {"spatial_iou": measured(0.11), "lpips": measured(0.57), "edge_f1": measured(0.22)},
    }
    return evaluation(1, metrics | changes, baselines=baselines)


def phase2() -> Evaluation:
    hybrid = {"spatial_iou": measured(0.831), "lpips": measured(0.142), "temporal_ordering": measured(0.853, 0.031),
              "semantic_consistency": measured(0.871)}  # fmt: skip
    vlm = {"spatial_iou": measured(0.30), "lpips": measured(0.46), "temporal_ordering": measured(0.9, 0.03),
           "semantic_consistency": measured(0.8)}  # fmt: skip
    dino = {"spatial_iou": measured(0.836), "lpips": measured(0.139), "temporal_ordering": measured(0.58, 0.04),
            "semantic_consistency": measured(0.77)}  # fmt: skip
    baselines = {"vae_roundtrip": {"spatial_iou": measured(0.91), "lpips": measured(0.098)},
                 "shuffled": {"spatial_iou": measured(0.12), "lpips": measured(0.55)}}  # fmt: skip
    return evaluation(2, hybrid, {"hybrid": hybrid, "vlm_only": vlm, "dino_only": dino}, baselines)


def real() -> Evaluation:
    return evaluation(
        2, {"lpips": measured(0.48, 0.05, 24)}, baselines={"vae_roundtrip": {"lpips": measured(0.37, 0.05, 24)}}
    )


def pictures(home: Home, phase: int) -> None:
    """Leave a frame strip and a loss curve where a run would."""
    folder = home.run("moving_shapes", f"evaluation{phase}") / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in drawn(phase).items():
        (folder / name).write_bytes(png)


@functools.cache
def drawn(phase: int) -> dict[str, bytes]:
    """Figures by the functions that a run uses; once, since drawing is slow."""
    clip, noise = render_clip(40 + phase), np.random.default_rng(phase)
    worse = np.clip(clip.frames + noise.normal(0, 12, clip.frames.shape), 0, 255).astype(np.uint8)
    rows = {"True": clip.frames, "Generated": worse, "VAE\nround trip": clip.frames}
    history = [{"step": s, "loss": float(np.exp(-s / 90) + 0.12 + noise.normal(0, 0.03))} for s in range(0, 400, 4)]
    return {"frames.png": figures.frame_strip(rows), "loss.png": figures.loss_curve({"hybrid": history})}
