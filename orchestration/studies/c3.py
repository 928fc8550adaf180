"""C3: what each stream knows of the future in latent space, apart and together (§5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from orchestration.plan.programme import Part
from orchestration.studies import foretold
from orchestration.studies.foretold import BASELINES, PROTOCOLS, ForetoldSizes, baseline, trained
from orchestration.studies.paired import Paired, documents, said
from orchestration.studies.study import Analysis, Bench, Cell, Measured, Table

PHASE = 3
NEEDS: tuple[str, ...] = ()
WEIGHTS, CODE = foretold.WEIGHTS, foretold.CODE
CAPTIONS = {
    "foretold": "Each way to foretell, on the same held-out clips: latent error (less is better), whether the "
    "direction of what comes can be read, and where things are. Dashed: chance"
}
Arm = Literal["hybrid", "vlm_only", "dino_only"]
WORDS = {"hybrid": "both streams", "vlm_only": "the VLM's stream", "dino_only": "the spatial stream"}
MEASURES = ("latent", "direction", "iou")


class Plan(Part):
    """Which streams are foretold from."""

    arms: Annotated[list[Arm], Field(min_length=1)]


class Sizes(ForetoldSizes):
    """How much is trained, on what, and from how many frames."""

    context: PositiveInt


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """Tokens of the context, three predictions without a model, each arm with each seed."""
    return foretold.cells(plan.arms, [sizes.context], sizes)


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; see `orchestration.studies.foretelling`."""
    from orchestration.studies import foretelling

    return foretelling.measure(cell, bench)


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Each way by itself; the hybrid less each other way, and the spatial stream less the VLM's."""
    ways: dict[str, list[str]] = {arm: [trained(arm, sizes.context, one) for one in sizes.seeds] for arm in plan.arms}
    ways |= {name: [baseline(name, sizes.context)] for name in BASELINES}
    paired = Paired(measured, seed, PROTOCOLS, ("direction",))
    metrics = {
        f"{way}_{name}": paired.value(some, name)
        for way, some in ways.items()
        for name in MEASURES
        if all(name in measured[cell]["by_clip"] for cell in some)
    }
    pairs = [("hybrid", other) for other in ways if other != "hybrid"] if "hybrid" in ways else []
    pairs += [("dino_only", "vlm_only")] if {"dino_only", "vlm_only"} <= ways.keys() else []
    metrics |= {
        f"{one}_less_{other}_{name}": paired.less(ways[one], ways[other], name)
        for one, other in pairs
        for name in MEASURES
        if {f"{one}_{name}", f"{other}_{name}"} <= metrics.keys()
    }
    values = documents(metrics)
    shown = {way: {name: values[f"{way}_{name}"] for name in MEASURES if f"{way}_{name}" in values} for way in ways}
    rows = tuple(
        (_words(way), *(said(one[name]) if name in one else "–" for name in MEASURES)) for way, one in shown.items()
    )
    table = Table("Held-out clips foretold", ("from", *MEASURES), rows)
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


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """`foretold`: a panel a measure, a line a way."""
    from orchestration.studies.foretold_figures import ways

    return {"foretold": ways(dict(analysis.series)["ways"])}  # pyright: ignore[reportArgumentType]


def _words(way: str) -> str:
    return WORDS.get(way) or BASELINES[way]
