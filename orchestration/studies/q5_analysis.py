"""Q5's curves by step ahead, and how many steps are usable, by bootstrap over clips within each seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.metric import Metric, bootstrap
from orchestration.studies.foretold import CEILING, PROTOCOLS, baseline, context_name, trained
from orchestration.studies.paired import Paired, documents, over_seeds, said
from orchestration.studies.q5 import Sizes
from orchestration.studies.study import Analysis, Measured, Table

QUALITIES = {"spatial": "iou", "semantic": "direction"}
"""A quality gains over a null: where things are, over the last known frame standing still; what happens, over what is
read from other clips' predictions.
"""
RESAMPLES = 1000
LIMIT = "steps before the first whose gain over its null is not wholly above the margin; bootstrap over clips"


def analyse(arm: str, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """For every context: quality, gain over its null and the limit. The rule's values are the shortest's."""
    contexts = sorted(sizes.contexts)
    metrics: dict[str, Metric] = {}
    shown: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    for context in contexts:
        made = [trained(arm, context, one) for one in sizes.seeds]
        still, came = baseline("still", context), baseline(CEILING, context)
        numbers: dict[str, Any] = measured[context_name(context)]["numbers"]
        found = _of_context(measured, made, (still, came), int(numbers["ahead"]), sizes.margin, seed)
        prefix = "" if context == contexts[0] else f"context_{context}_"
        metrics |= {f"{prefix}{name}": metric for name, metric in found.items()}
        shown[str(context)] = {**numbers, **{name: metric.document() for name, metric in found.items()}}
        rows += _rows(context, int(numbers["ahead"]), found)
    values = documents(metrics)
    columns = ("known frames, quality", "step ahead", "predicted", "its null", "gain", "what came")
    return Analysis(values, (Table("Quality by step ahead", columns, tuple(rows)),), {"contexts": shown})


def usable(gains: Sequence[np.ndarray], margin: float, seed: int) -> Metric:
    """The usable steps of one training from its gains by step, each [N] over the same clips; undefined clips are NaN.

    A resample's limit is where its mean gain first is not above the margin.
    """
    table = np.stack([np.asarray(gain, float) for gain in gains], axis=1)
    table = table[np.isfinite(table).all(1)]
    if not len(table):
        return Metric(None, None, None, 0, LIMIT)
    drawn = np.random.default_rng(seed).integers(0, len(table), (RESAMPLES, len(table)))
    means = table[drawn].mean(1)
    low = np.quantile(means, 0.025, axis=0)
    limits = [_run(row > margin) for row in means]
    ends = np.quantile(limits, [0.025, 0.975], method="nearest")
    return Metric(float(_run(low > margin)), float(ends[0]), float(ends[1]), len(table), LIMIT)


def finding(analysis: Analysis) -> str:
    """How far each quality is usable, in words."""
    contexts: dict[str, Any] = dict(analysis.series)["contexts"]  # pyright: ignore[reportAssignmentType]
    sentences = []
    for context, found in contexts.items():
        limits = [
            f"{quality} {found[f'{quality}_limit']['value']:.1f} ({found[f'{quality}_limit']['low']:.0f} .. "
            f"{found[f'{quality}_limit']['high']:.0f})"
            for quality in QUALITIES
            if found.get(f"{quality}_limit", {}).get("value") is not None
        ]
        sentences.append(
            f"From {context} known frames, of {found['ahead']:.0f} steps of {found['frames_a_step']:.0f} frames "
            f"these are usable: {', '.join(limits) or 'not measured'}."
        )
    for quality in QUALITIES:
        name = f"{quality}_gain_1"
        if name in analysis.values:
            sentences.append(f"One step ahead the {quality} gain is {said(analysis.values[name], '+')}.")
    return " ".join(sentences)


def _of_context(
    measured: Mapping[str, Measured], made: Sequence[str], fixed: tuple[str, str], ahead: int, margin: float, seed: int
) -> dict[str, Metric]:
    """Args: fixed: the cells of a frame that stands still, and of what came."""
    still, came = fixed
    steps = range(1, ahead + 1)
    protocols = {f"{name}_{k}": f"{text}, {k} steps ahead" for name, text in PROTOCOLS.items() for k in steps}
    paired = Paired(measured, seed, protocols, tuple(f"direction_{k}" for k in steps))
    metrics: dict[str, Metric] = {}
    limits: dict[str, list[Metric]] = {}
    for quality, measure in QUALITIES.items():
        if any(f"{measure}_1" not in measured[cell]["by_clip"] for cell in made):
            continue
        nulls = {cell: (still, measure) if quality == "spatial" else (cell, f"{measure}_null") for cell in made}
        gains = {cell: _gains(measured, (cell, measure), nulls[cell], ahead) for cell in made}
        for k in steps:
            metrics[f"{quality}_{k}"] = paired.value(made, f"{measure}_{k}")
            metrics[f"{quality}_came_{k}"] = paired.value([came], f"{measure}_{k}")
            of = [_values(measured, nulls[cell], k) for cell in made]
            metrics[f"{quality}_null_{k}"] = over_seeds([bootstrap(one, seed) for one in of], f"null of {measure}")
            each = [bootstrap(gains[cell][k - 1], seed) for cell in made]
            metrics[f"{quality}_gain_{k}"] = over_seeds(each, f"paired over clips: {PROTOCOLS[measure]}, less its null")
        limits[quality] = [usable(gains[cell], margin, seed) for cell in made]
        metrics[f"{quality}_limit"] = over_seeds(limits[quality], LIMIT)
    if limits.keys() == QUALITIES.keys():
        leads = [_lead(*pair) for pair in zip(limits["semantic"], limits["spatial"], strict=True)]
        metrics["lead"] = over_seeds(leads, f"semantic less spatial limit; {LIMIT}")
    return metrics


def _gains(
    measured: Mapping[str, Measured], made: tuple[str, str], null: tuple[str, str], ahead: int
) -> list[np.ndarray]:
    """Of each step, by clip: a cell's measure less that of its null."""
    return [_values(measured, made, k) - _values(measured, null, k) for k in range(1, ahead + 1)]


def _values(measured: Mapping[str, Measured], of: tuple[str, str], step: int) -> np.ndarray:
    """By clip, in one order; NaN where undefined."""
    cell, measure = of
    found = measured[cell]["by_clip"][f"{measure}_{step}"]
    return np.array([found[clip] for clip in sorted(found)], float)


def _lead(semantic: Metric, spatial: Metric) -> Metric:
    """Conservative: the ends of both intervals at their farthest."""
    if None in (semantic.value, semantic.low, semantic.high, spatial.value, spatial.low, spatial.high):
        return Metric(None, None, None, min(semantic.n, spatial.n), LIMIT)
    ends = [np.float64(end) for end in (semantic.value, semantic.low, semantic.high)]
    others = [np.float64(end) for end in (spatial.value, spatial.high, spatial.low)]
    value, low, high = (float(one - other) for one, other in zip(ends, others, strict=True))
    return Metric(value, low, high, min(semantic.n, spatial.n), LIMIT)


def _run(usable_steps: np.ndarray) -> int:
    """How many of the first steps are usable, up to the first that is not."""
    return int(np.argmin(usable_steps)) if not usable_steps.all() else len(usable_steps)


def _rows(context: int, ahead: int, found: Mapping[str, Metric]) -> list[tuple[str, ...]]:
    values = documents(found)
    return [
        (
            f"{context}, {quality}",
            str(k),
            said(values[f"{quality}_{k}"]),
            said(values[f"{quality}_null_{k}"]),
            said(values[f"{quality}_gain_{k}"], "+"),
            said(values[f"{quality}_came_{k}"]),
        )
        for quality in QUALITIES
        if f"{quality}_1" in values
        for k in range(1, ahead + 1)
    ]
