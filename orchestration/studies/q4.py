"""Q4: how many clips the fusion needs: quality against their number, and where the curve meets each gate (§5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from orchestration.experiments.declaration import MinClips
from orchestration.plan.programme import Part
from orchestration.studies.short import TEXTS, Short
from orchestration.studies.study import Analysis, Bench, Cell, Measured, StudySizes

PHASE = 2
NEEDS: tuple[str, ...] = ()
WEIGHTS = ("dinov2", "qwen", "vae", "ltx", "segmenter", "lpips_alex")
CODE = (
    *(f"models/{part}" for part in ("frozen.py", "data", "encoders", "decoder", "fusion", "training")),
    "models/studies/told.py",
    *(f"models/evaluation/{part}.py" for part in ("edges", "iou", "lpips", "order", "probes", "segmenter")),
    *(f"orchestration/stages/{part}.py" for part in ("inputs", "measures", "recipes")),
    *(f"orchestration/studies/{part}.py" for part in ("q4", "q4_cells", "short", "trainings")),
)
CAPTIONS = {
    "curves": "Held-out error against the number of train clips: seeds as dots, the fitted power law with its 95% "
    "band, and the targets of the gates as lines"
}
Measure = Literal["spatial_iou", "lpips", "edge_f1", "temporal_ordering"]


class Plan(Part):
    """Which targets the curve is held against, and how many clips the proposal has."""

    gates: dict[Literal["1", "2"], list[Measure]]
    clips_asked: MinClips
    passes: PositiveInt


class Sizes(StudySizes):
    """At how many clips the recipe is run, and how it is judged."""

    clips: Annotated[list[PositiveInt], Field(min_length=3)]
    heldout: PositiveInt
    batch: PositiveInt
    seeds: list[int] = Field(min_length=1)
    training: Short
    resamples: Annotated[int, Field(ge=100)]

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.clips != sorted(set(self.clips)):
            raise ValueError(f"clips {self.clips}: give rising numbers")
        if self.clips[0] < self.training.batch:
            raise ValueError(f"clips: {self.clips[0]} are fewer than a batch of {self.training.batch}")
        return self


def named(clips: int, seed: int) -> str:
    """The cell of a training."""
    return f"clips-{clips}-{seed}"


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """Captions first, then the recipe at each number of clips with each seed."""
    shared: dict[str, Any] = {"train": sizes.clips[-1], "heldout": sizes.heldout, "batch": sizes.batch}
    training = sizes.training.model_dump(mode="json")
    trainings = [
        Cell(
            named(clips, seed),
            {**shared, "kind": "trained", "clips": clips, "seed": seed, "training": training},
            (TEXTS,),
        )
        for clips in sizes.clips
        for seed in sizes.seeds
    ]
    return [Cell(TEXTS, {"kind": TEXTS, **shared}), *trainings]


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; see `orchestration.studies.q4_cells`."""
    from orchestration.studies import q4_cells

    return q4_cells.measure(cell, bench)


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Curves, and where they meet the targets; see `orchestration.studies.q4_analysis`."""
    from orchestration.studies import q4_analysis

    return q4_analysis.analyse(plan, sizes, measured, seed)


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say."""
    from orchestration.studies import q4_analysis

    return q4_analysis.finding(plan, analysis)


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """`curves`: a panel a measure."""
    from orchestration.studies.q4_figure import curves

    series: dict[str, Any] = dict(analysis.series)
    return {"curves": curves(series["curves"])} if series["curves"] else {}
