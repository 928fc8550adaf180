"""Which stream the hybrid's outputs listened to on held-out clips (§2.1): by region and layer, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.attribution import (
    PROTOCOL,
    Attribution,
    Changes,
    Outputs,
    attribute,
    changes,
    query_maps,
    semantic_share,
    typical_cells,
)
from models.evaluation.metric import bootstrap
from models.fusion.base import Fusion
from models.fusion.config import FusionConfig
from models.training.data import TrainingData, read_batch
from models.training.recipe import load_fusion
from models.training.reconstruct import conditionings
from orchestration.documents import ABSENT
from orchestration.jobs import Job
from orchestration.report.figures import QueryAttention, attention_maps, layer_shares, stream_share_map
from orchestration.stages.generation import Made, arm_checkpoints

LAYER_CLIPS = 8
"""Clips behind the shares by layer: each layer costs two more passes."""
NOT_MADE_CLIPS = 32
"""Clips behind the shares where the clips without a stream were not made anyway."""


@dataclass(frozen=True)
class Shares:
    """What was found, and its figures."""

    rows: dict[str, dict[str, Any]]
    """Region or layer -> share of the VLM, 0..1, with interval, n and protocol."""
    figures: dict[str, bytes]


def measure(job: Job, data: TrainingData, ids: Sequence[str], made: Made, true: np.ndarray, masks: Any) -> Shares:
    """Shares of the phase's hybrid on the clips `ids` with frames `true`, uint8 [N, T, H, W, 3].

    Args:
        masks: object labels [N, T, H, W] where the clips have them, else None.
    """
    fusion = load_fusion(arm_checkpoints(job)["hybrid"]).to(job.profile.device)
    if not made.conditioning.keys() >= ABSENT.keys():
        ids, masks = ids[:NOT_MADE_CLIPS], None if masks is None else masks[:NOT_MADE_CLIPS]
    whole = _taken_away(job, fusion, data, ids, made)
    rows, columns = fusion.config.latent_grid
    shown = shown_frames(true.shape[1], whole.cells.shape[1])
    batch = read_batch(data, ids[:LAYER_CLIPS], arm="hybrid").to(fusion.device)
    found = attribute(fusion, batch.spatial, batch.semantic)
    shares = {**of_clips(found), **whole.by_clip(), **_regions(whole.cells, masks, shown, (rows, columns))}
    settings = job.profile.evaluation
    summary = {
        name: bootstrap(values, settings.seed, _protocol(name), settings.resamples).document()
        for name, values in shares.items()
    }
    by_cell = semantic_share(whole.cells).reshape(len(ids), -1, rows, columns)
    mean = semantic_share(whole.cells.mean(0)).reshape(-1, rows, columns)
    frames = true[0][shown]
    figures = {
        "stream_share": stream_share_map(frames, by_cell[0], mean, whole.cells[0].reshape(*mean.shape, 2)),
        "stream_layers": layer_figure(summary, fusion),
    }
    if found.attention is not None:
        queries = query_attention(found, fusion.config, typical_cells(by_cell[0]))
        figures["attention"] = attention_maps(frames, queries, (rows, columns))
    return Shares(summary, figures)


def _protocol(row: str) -> str:
    if row == "attention":
        return "attention's mass on the VLM's tokens, mean of layers and heads: weaker evidence (ADR 13)"
    return f"{PROTOCOL}, in that layer only" if row.startswith("layer") else PROTOCOL


def shown_frames(frames: int, latent_frames: int) -> np.ndarray:
    """Of a clip's frames, the one that stands for each latent frame."""
    return np.linspace(0, frames - 1, latent_frames).round().astype(int)


def query_attention(
    found: Attribution, config: FusionConfig, cells: dict[str, tuple[int, int, int]]
) -> dict[str, QueryAttention]:
    """What queries of the first clip attend to, mean of the layers: those of some cells, and those of the caption."""
    queries, (rows, columns) = {}, config.latent_grid
    assert found.attention is not None
    attention = found.attention[:, 0].mean(0)
    for name, (frame, row, column) in cells.items():
        spatial, semantic = query_maps(attention[(frame * rows + row) * columns + column], config)
        queries[name] = QueryAttention(spatial, semantic, (frame, row, column))
    if config.semantic_queries:
        spatial, semantic = query_maps(attention[-config.semantic_queries :].mean(0), config)
        queries["caption tokens"] = QueryAttention(spatial, semantic)
    return queries


def layer_figure(summary: dict[str, dict[str, Any]], fusion: Fusion) -> bytes:
    """Shares whole and by layer, from rows named as `of_clips` names them, and the gates."""
    layers = [f"layer {layer + 1}" for layer in range(fusion.config.layers)]
    shares = {
        place: {"cells": summary.get(f"{place}, cells"), "captions": summary.get(f"{place}, captions")}
        for place in layers
    }
    shares = {"whole": {"cells": summary["cells"], "captions": summary.get("captions")}, **shares}
    drawn = {place: {output: row for output, row in found.items() if row} for place, found in shares.items()}
    return layer_shares({place: found for place, found in drawn.items() if found}, fusion.gates().tolist())


def _taken_away(job: Job, fusion: Fusion, data: TrainingData, ids: Sequence[str], made: Made) -> Changes:
    """Phase 2 has conditioned the clips without either stream already (ADR 8); other phases do so here."""

    def outputs(name: str, arm: str) -> Outputs:
        found = made.conditioning.get(name) or conditionings(fusion, data, ids, arm, batch=job.profile.evaluation.batch)
        count, channels, frames = found.latents[: len(ids)].shape[:3]
        cells = found.latents[: len(ids)].reshape(count, channels, frames, -1).transpose(0, 2, 3, 1)
        return cells, found.semantic[: len(ids)]

    without_spatial, without_semantic = (
        outputs(name, ABSENT[name]) for name in ("without_spatial", "without_semantic")
    )
    return changes(outputs("hybrid", "hybrid"), (without_spatial, without_semantic))


def _regions(cells: np.ndarray, masks: Any, shown: np.ndarray, grid: tuple[int, int]) -> dict[str, np.ndarray]:
    """Shares of the cells that objects mostly cover, and of the others, where objects are known."""
    if masks is None:
        return {}
    there = masks[:, shown] > 0
    rows, columns = grid
    height, width = there.shape[2:]
    covered = there.reshape(*there.shape[:2], rows, height // rows, columns, width // columns).mean((3, 5)) >= 0.5
    covered = covered.reshape(*cells.shape[:3], 1)
    return {
        "cells on objects": semantic_share((cells * covered).sum((1, 2))),
        "cells of the ground": semantic_share((cells * ~covered).sum((1, 2))),
    }


def of_clips(found: Attribution) -> dict[str, np.ndarray]:
    """Shares [B] of every clip by what they are of: `cells`, `captions`, `layer 1, cells`, .., and `attention`."""
    if found.whole is None:
        return {}
    named = found.whole.by_clip()
    if found.layers is not None:
        for output, shares in found.layers.by_clip().items():
            named |= {f"layer {layer + 1}, {output}": values for layer, values in enumerate(shares)}
    if found.attention_share is not None:
        named["attention"] = found.attention_share.mean((1, 2))
    return {name: values for name, values in named.items() if values.size}
