"""Fallback 1 of §4.3: is there a router that sends only spatial-critical clips to the hybrid, and what does it save?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, JsonValue, PositiveFloat, PositiveInt

from orchestration.plan.programme import Part, Section
from orchestration.studies.study import Analysis, Bench, Cell, Measured, StudySizes

PHASE = 2
NEEDS = ("phase2",)
WEIGHTS = ("dinov2", "qwen", "vae", "lpips_alex")
CODE = (
    *(f"models/{part}" for part in ("frozen.py", "data", "encoders", "decoder", "fusion", "training")),
    *(f"models/studies/{part}.py" for part in ("cost", "router")),
    "models/evaluation/lpips.py",
    "orchestration/stages/inputs.py",
    *(f"orchestration/studies/{part}.py" for part in ("router", "router_cells", "trainings")),
)
CAPTIONS = {
    "router": "LPIPS by the share of clips that the hybrid gets, chosen by the router, by chance and by the truth. "
    "Bars are 95% intervals over held-out clips."
}
ARMS, ROUTER = ("hybrid", "vlm_only"), "router"
Share = Annotated[float, Field(gt=0, lt=1)]


class Margin(Part):
    """What the VLM alone may give away before a clip counts as spatial-critical."""

    section: Section
    lpips: PositiveFloat


class Plan(Part):
    """What the router tells apart, and where the curve is drawn."""

    margin: Margin
    shares: Annotated[list[Share], Field(min_length=1)]


class Sizes(StudySizes):
    """On how many clips it learns, and on how many it is read."""

    train: PositiveInt
    heldout: PositiveInt
    batch: PositiveInt


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """Both arms on all clips, then the router."""
    clips: dict[str, JsonValue] = {"train": sizes.train, "heldout": sizes.heldout, "batch": sizes.batch}
    arms = [Cell(arm, {"arm": arm, **clips}) for arm in ARMS]
    return [*arms, Cell(ROUTER, {"margin": plan.margin.lpips, **clips}, ARMS)]


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; see `orchestration.studies.router_cells`."""
    from orchestration.studies import router_cells

    return router_cells.measure(cell, bench)


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """The routed system against both arms and chance, clip by clip; see `orchestration.studies.router_analysis`."""
    from orchestration.studies import router_analysis

    return router_analysis.analyse(plan.margin.lpips, plan.shares, measured, seed)


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """LPIPS against the share of clips that the hybrid gets."""
    from orchestration.studies import router_figure

    return {"router": router_figure.curve(analysis.series)} if analysis.series else {}


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say."""
    from orchestration.studies import router_analysis

    return router_analysis.finding(plan.margin.lpips, analysis)


def plain(values: Any) -> list[float]:
    """An array as JSON has it."""
    return [float(value) for value in values]
