"""C3: what each stream knows of the future in latent space, apart and together (§5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from orchestration.plan.programme import Part
from orchestration.studies import foretold
from orchestration.studies.foretold import ForetoldSizes
from orchestration.studies.study import Analysis, Bench, Cell, Measured

PHASE = 3
NEEDS: tuple[str, ...] = ()
WEIGHTS, CODE = foretold.WEIGHTS, foretold.CODE
CAPTIONS = {
    "foretold": "Each way to foretell, on the same held-out clips: latent error (less is better), whether the "
    "direction of what comes can be read from the foretold latents, and where things are. Dashed: chance. What came, "
    "held against itself, is the most that a measure can see"
}
Arm = Literal["hybrid", "vlm_only", "dino_only"]


class Plan(Part):
    """Which streams are foretold from."""

    arms: Annotated[list[Arm], Field(min_length=1)]


class Sizes(ForetoldSizes):
    """How much is trained, on what, and from how many frames."""

    context: PositiveInt


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """Tokens of the context, what needs no model, each arm with each seed."""
    return foretold.cells(plan.arms, [sizes.context], sizes)


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; see `orchestration.studies.foretelling`."""
    from orchestration.studies import foretelling

    return foretelling.measure(cell, bench)


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Each way by itself and less the others; see `orchestration.studies.c3_analysis`."""
    from orchestration.studies import c3_analysis

    return c3_analysis.analyse(plan, sizes, measured, seed)


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say."""
    from orchestration.studies import c3_analysis

    return c3_analysis.finding(plan, analysis)


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """`foretold`: a panel a measure, a line a way."""
    from orchestration.studies.foretold_figures import ways

    return {"foretold": ways(dict(analysis.series)["ways"])}  # pyright: ignore[reportArgumentType]
