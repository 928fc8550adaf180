"""What C3's cells say together: each way to foretell by itself, and the hybrid less each other way."""

from collections.abc import Mapping
from typing import Any

from orchestration.studies.c3 import Plan, Sizes
from orchestration.studies.foretold import BASELINES, CAME, CEILING, PROTOCOLS, baseline, trained
from orchestration.studies.paired import Paired, documents, said
from orchestration.studies.study import Analysis, Measured, Table

WORDS = {"hybrid": "both streams", "vlm_only": "the VLM's stream", "dino_only": "the spatial stream"}
MEASURES = ("latent", "direction", "iou")
TOLD = ("told", "told_before")
"""What the conditioning holds of the direction, after and before its training."""


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Each way by itself; the hybrid less each other way, and the spatial stream less the VLM's."""
    ways: dict[str, list[str]] = {arm: [trained(arm, sizes.context, one) for one in sizes.seeds] for arm in plan.arms}
    ways |= {name: [baseline(name, sizes.context)] for name in (*BASELINES, CEILING)}
    paired = Paired(measured, seed, PROTOCOLS, ("direction", *TOLD))
    metrics = {
        f"{way}_{name}": paired.value(some, name)
        for way, some in ways.items()
        for name in (*MEASURES, *TOLD)
        if all(name in measured[cell]["by_clip"] for cell in some)
    }
    pairs = [("hybrid", other) for other in ways if other not in ("hybrid", CEILING)] if "hybrid" in ways else []
    pairs += [("dino_only", "vlm_only")] if {"dino_only", "vlm_only"} <= ways.keys() else []
    metrics |= {
        f"{one}_less_{other}_{name}": paired.less(ways[one], ways[other], name)
        for one, other in pairs
        for name in MEASURES
        if {f"{one}_{name}", f"{other}_{name}"} <= metrics.keys()
    }
    values = documents(metrics)
    columns = (*MEASURES, *TOLD)
    shown = {way: {name: values[f"{way}_{name}"] for name in columns if f"{way}_{name}" in values} for way in ways}
    rows = tuple(
        (_words(way), *(said(one[name]) if name in one else "–" for name in columns)) for way, one in shown.items()
    )
    table = Table("Held-out clips foretold", ("from", *columns), rows)
    series: dict[str, Any] = {
        "ways": {_words(way): {name: value.document() for name, value in one.items()} for way, one in shown.items()}
    }
    return Analysis(values, (table,), series)


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say; what was not measured is not said."""
    values = analysis.values
    sentences = []
    for arm in plan.arms:
        numbers = [f"{name} {said(values[f'{arm}_{name}'])}" for name in MEASURES if f"{arm}_{name}" in values]
        sentences.append(f"From {WORDS[arm]}: {', '.join(numbers)}.")
        if f"{arm}_told" in values:
            after, before = (said(values[f"{arm}_{name}"]) for name in TOLD)
            sentences.append(f"Its conditioning holds the direction at {after}; before its training at {before}.")
    if f"{CEILING}_direction" in values:
        sentences.append(f"Of the latents that came the direction is read at {said(values[f'{CEILING}_direction'])}.")
    for other, words in BASELINES.items():
        name = f"hybrid_less_{other}_latent"
        if name in values:
            sentences.append(f"Latent error of both streams less that of {words}: {said(values[name], '+')}.")
    for name, words in (
        ("hybrid_less_dino_only_direction", "What the VLM's stream adds to reading the direction"),
        ("hybrid_less_vlm_only_iou", "What the spatial stream adds in IoU"),
    ):
        if name in values:
            sentences.append(f"{words}: {said(values[name], '+')}.")
    return " ".join(sentences)


def _words(way: str) -> str:
    return {**WORDS, **BASELINES, CEILING: CAME}[way]
