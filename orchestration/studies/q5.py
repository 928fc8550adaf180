"""Q5: how far ahead a prediction is of use, where and what apart, each with its own limit (§5.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from orchestration.plan.programme import Part
from orchestration.studies import foretold
from orchestration.studies.foretold import ForetoldSizes
from orchestration.studies.study import Analysis, Bench, Cell, Measured

PHASE = 3
NEEDS: tuple[str, ...] = ()
WEIGHTS, CODE = foretold.WEIGHTS, foretold.CODE
CAPTIONS = {
    "horizon": "Quality by steps ahead, with 95% intervals over clips, beside its null (the last known frame standing "
    "still, or what is read from other clips) and what came, held against itself. The line at the foot ends at the "
    "last usable step"
}


class Plan(Part):
    """What is foretold from."""

    arm: Literal["hybrid", "vlm_only", "dino_only"]


class Sizes(ForetoldSizes):
    """How much is trained, on what, and from how many frames; a step is usable while it gains more than the margin."""

    contexts: Annotated[list[PositiveInt], Field(min_length=1)]
    margin: float = Field(ge=0, lt=1)


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """Of each context: tokens, what needs no model, each seed."""
    return foretold.cells([plan.arm], sizes.contexts, sizes)


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; see `orchestration.studies.foretelling`."""
    from orchestration.studies import foretelling

    return foretelling.measure(cell, bench)


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Quality and gain by step ahead, and the usable limits; see `orchestration.studies.q5_analysis`."""
    from orchestration.studies import q5_analysis

    return q5_analysis.analyse(plan.arm, sizes, measured, seed)


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say."""
    from orchestration.studies import q5_analysis

    return q5_analysis.finding(analysis)


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """`horizon`: a row a context, a panel a measure."""
    from orchestration.studies.foretold_figures import horizon

    series: dict[str, Any] = dict(analysis.series)
    return {"horizon": horizon(series["contexts"])}
