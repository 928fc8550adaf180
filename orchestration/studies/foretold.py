"""What C3 and Q5 share before anything is measured: sizes, cells, and where their code lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, JsonValue, PositiveInt

from orchestration.studies.short import TEXTS, Short
from orchestration.studies.study import Cell, StudySizes

BASELINES = {
    "still": "the last known latent frame, copied",
    "line": "the last change, gone on",
    "mean": "the mean of all latents",
}
CEILING, CAME = "came", "what came, itself"
"""Held against itself: what a measure can see at most."""
WEIGHTS = ("dinov2", "qwen", "vae", "ltx", "segmenter")
CODE = (
    *(f"models/{part}" for part in ("frozen.py", "data", "encoders", "decoder", "fusion", "training")),
    "models/studies/foretold.py",
    *(f"models/evaluation/{part}.py" for part in ("iou", "order", "probes", "segmenter")),
    *(f"orchestration/stages/{part}.py" for part in ("inputs", "measures", "prediction", "recipes")),
    *(f"orchestration/studies/{part}.py" for part in ("foretelling", "foretold", "short", "trainings")),
)
PROTOCOLS = {
    "latent": "squared error of foretold normalised latents; the mean scores 1",
    "direction": "motion probe fitted on true latents of train clips: direction of foretold latents right, chance 0.25",
    "direction_null": "the same, read from all other clips, mean",
    "told": "probe on the conditioning, fitted on train clips: direction of what is to come right, chance 0.25",
    "told_before": "the same, of the same fusion before its training",
    "iou": "IoU of the frozen segmenter's mask of decoded foretold frames and the true mask",
}


class ForetoldSizes(StudySizes):
    """How much is trained, and on what."""

    train: PositiveInt
    heldout: PositiveInt
    batch: PositiveInt
    seeds: list[int] = Field(min_length=1)
    training: Short


def context_name(frames: int) -> str:
    """The cell that holds the tokens of so many context frames."""
    return f"context-{frames}"


def baseline(name: str, context: int) -> str:
    """The cell of a prediction that needs no model."""
    return f"{name}-{context}"


def trained(arm: str, context: int, seed: int) -> str:
    """The cell of a training."""
    return f"{arm}-{context}-{seed}"


def cells(arms: Sequence[str], contexts: Sequence[int], sizes: ForetoldSizes) -> list[Cell]:
    """Captions and tokens first, then what needs no model and the ceiling, then each training."""
    clips: dict[str, Any] = {"train": sizes.train, "heldout": sizes.heldout, "batch": sizes.batch}
    made = [Cell(TEXTS, {"kind": TEXTS, **clips})]
    for context in contexts:
        read = (TEXTS, context_name(context))
        made.append(Cell(context_name(context), {"kind": "context", "context": context}))
        known: dict[str, JsonValue] = {**clips, "context": context}
        made += [
            Cell(baseline(name, context), {**known, "kind": "baseline", "baseline": name}, read)
            for name in (*BASELINES, CEILING)
        ]
        training = sizes.training.model_dump(mode="json")
        made += [
            Cell(
                trained(arm, context, seed),
                {**known, "kind": "trained", "arm": arm, "seed": seed, "training": training},
                read,
            )
            for arm in arms
            for seed in sizes.seeds
        ]
    return made
