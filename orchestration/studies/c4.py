"""C4: does pixel verification raise accuracy? Candidate futures chosen with and without it (§5.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from models.studies.ways import Candidate
from orchestration.plan.programme import Part, Section
from orchestration.studies.study import Analysis, Bench, Cell, Measured, StudySizes

PHASE = 3
NEEDS = ("predictor",)
WEIGHTS = ("dinov2", "qwen", "vae", "ltx", "lpips_alex", "lpips_vgg", "mobile_sam")
CODE = (
    *(f"models/{part}" for part in ("frozen.py", "data", "decoder", "encoders", "fusion", "predict")),
    *(f"models/training/{part}.py" for part in ("data", "generator", "horizon", "prediction", "recipe", "reconstruct")),
    *(f"models/evaluation/{part}.py" for part in ("iou", "lpips", "segmenter")),
    *(f"models/studies/{part}.py" for part in ("candidates", "ways")),
    *(f"orchestration/stages/{part}.py" for part in ("inputs", "measures", "prediction", "training")),
    "orchestration/prediction/verification.py",
    *(f"orchestration/studies/{part}.py" for part in ("c4", "c4_cells", "trainings")),
)
CAPTIONS = {
    "accuracy": "How often the chosen future is right, by how it is chosen; ticks are seeds, lines 95% intervals over "
    "clips. Hatched ways saw what trained the predictor, or the answer: they show what that would flatter.",
    "roc": "Wrong futures called wrong against right ones called wrong, as the line of the pixel measure moves. Above "
    "the diagonal it tells them apart.",
}
DRAWS, VERIFIED, CIRCULAR = "draws", "verified", "circular"
Network = Literal["lpips_vgg", "mobile_sam"]


class Right(Part):
    """When a future is right."""

    section: Section
    iou: Annotated[float, Field(gt=0, lt=1)]


class Share(Part):
    """A share that this project chose."""

    section: Section
    share: Annotated[float, Field(gt=0, lt=1)]


class Plan(Part):
    """What is chosen among, what has come when it is chosen, and by what."""

    candidates: Annotated[list[Candidate], Field(min_length=2)]
    """The first is the predictor's answer where nothing is verified."""
    arrived: Share
    right: Right
    answered: Share
    measure: Literal["lpips_vgg_mean", "lpips_vgg_worst", "mobile_sam_mean", "mobile_sam_worst"]


class Sizes(StudySizes):
    """How many held-out clips, by which seeds of the sampler, and which networks verify."""

    clips: PositiveInt
    batch: PositiveInt
    seeds: list[int] = Field(min_length=1)
    networks: list[Network] = Field(min_length=1)


def named(kind: str, seed: int) -> str:
    """The cell of a kind under one seed of the sampler."""
    return f"{kind}-{seed}"


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """Of every seed: the candidates, what verifies them, and the control that goes in a circle."""
    found = []
    for seed in sizes.seeds:
        draws = named(DRAWS, seed)
        drawn = {"candidates": list(plan.candidates), "clips": sizes.clips, "batch": sizes.batch, "seed": seed}
        found += [
            Cell(draws, {"kind": DRAWS, "arrived": plan.arrived.share, **drawn}),
            Cell(named(VERIFIED, seed), {"kind": VERIFIED, "of": draws, "networks": list(sizes.networks)}, (draws,)),
            Cell(named(CIRCULAR, seed), {"kind": CIRCULAR, "of": draws, "measure": plan.measure}, (draws,)),
        ]
    return found


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; see `orchestration.studies.c4_cells`."""
    from orchestration.studies import c4_cells

    return c4_cells.measure(cell, bench)


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Every way to choose, on the same clips; see `orchestration.studies.c4_analysis`."""
    from orchestration.studies import c4_analysis

    return c4_analysis.analyse(plan, sizes, measured, seed)


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """Accuracy by way, and the ROC."""
    from orchestration.studies import c4_figures

    return c4_figures.figures(analysis.series)


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say."""
    from orchestration.studies import c4_analysis

    return c4_analysis.finding(plan, analysis)
