"""Q3: does injection disturb time? Flicker of features and of what LTX draws, beside how much moves (§5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from orchestration.plan.programme import Part, Section
from orchestration.studies.study import Analysis, Bench, Cell, Measured, StudySizes

PHASE = 3
NEEDS = ("phase2", "phase3")
WEIGHTS = ("dinov2", "qwen", "vae", "ltx", "lpips_alex")
CODE = (
    *(f"models/{part}" for part in ("frozen.py", "data", "decoder", "fusion")),
    *(f"models/training/{part}.py" for part in ("data", "generator", "recipe", "reconstruct")),
    *(f"models/evaluation/{part}.py" for part in ("evaluate", "lpips", "temporal")),
    "models/studies/flicker.py",
    *(f"orchestration/stages/{part}.py" for part in ("generation", "inputs", "training")),
    *(f"orchestration/studies/{part}.py" for part in ("q3", "q3_cells")),
)
CAPTIONS = {
    "flicker_and_motion": "Flicker of what stands still against change of what moves, means over held-out clips with "
    "95% intervals. Steady and alive is down and to the right; a frozen clip is down and to the left.",
    "by_frame": "Flicker of what stands still from each frame to the next, mean over clips and seeds.",
    "interaction": "What the spatial stream adds to a clip's flicker, by how much the true clip moves; a dot a clip.",
}
FEATURES = "features"
Arm = Literal["hybrid", "without_spatial", "vlm_only", "uninjected"]
Reference = Literal["vae_roundtrip", "true"]


class StillPlaces(Part):
    """Where a true clip stands still."""

    section: Section
    levels: NonNegativeInt
    margin: NonNegativeInt


class MotionShare(Part):
    """How much of the round trip's motion must be left."""

    section: Section
    share: Annotated[float, Field(gt=0, le=1)]


class Plan(Part):
    """The arms, what they are held against, and what counts as still and as moving."""

    arms: Annotated[list[Arm], Field(min_length=1)]
    references: list[Reference]
    still: StillPlaces
    motion: MotionShare


class Sizes(StudySizes):
    """How many held-out clips are drawn, and by which seeds of the sampler."""

    clips: PositiveInt
    batch: PositiveInt
    seeds: list[int] = Field(min_length=1)


def drawn(arm: str, seed: int) -> str:
    """The cell of an arm under one seed of the sampler."""
    return f"{arm}-{seed}"


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """The stored features, the references, then every arm under every seed."""
    shared = {"still": {"levels": plan.still.levels, "margin": plan.still.margin}, "clips": sizes.clips}
    shared |= {"batch": sizes.batch}
    first = [Cell(FEATURES, {"kind": FEATURES, **shared})]
    first += [Cell(name, {"kind": "reference", "of": name, **shared}) for name in plan.references]
    return first + [
        Cell(drawn(arm, seed), {"kind": "arm", "of": arm, "seed": seed, **shared})
        for arm in plan.arms
        for seed in sizes.seeds
    ]


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; see `orchestration.studies.q3_cells`."""
    from orchestration.studies import q3_cells

    return q3_cells.measure(cell, bench)


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Arms against each other and the references, clip by clip; see `orchestration.studies.q3_analysis`."""
    from orchestration.studies import q3_analysis

    return q3_analysis.analyse(plan, sizes, measured, seed)


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """Flicker against motion, by frame, and against the motion of each clip."""
    from orchestration.studies import q3_figures

    return q3_figures.figures(analysis.series)


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say."""
    from orchestration.studies import q3_analysis

    return q3_analysis.finding(analysis)
