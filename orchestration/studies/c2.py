"""C2: can a small adapter bridge the latent spaces? (§5.1) One factor at a time around a default, three seeds each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, PositiveInt, model_validator

from models.fusion.config import QueryMode
from orchestration.plan.programme import Part
from orchestration.profile import Fusion, Pretrained, RouteSwitches
from orchestration.studies.short import TEXTS, Short
from orchestration.studies.study import Analysis, Bench, Cell, Measured, StudySizes

PHASE = 2
NEEDS: tuple[str, ...] = ()
WEIGHTS = ("dinov2", "qwen", "vae", "ltx", "lpips_alex", "mobile_sam")
CODE = (
    *(f"models/{part}" for part in ("frozen.py", "data", "encoders", "decoder", "fusion", "training")),
    *(f"models/studies/{part}.py" for part in ("cost", "errors", "told", "untrained")),
    *(f"models/evaluation/{part}.py" for part in ("baselines", "localisation", "lpips", "order", "probes")),
    *(f"orchestration/stages/{part}.py" for part in ("generation", "inputs", "measures")),
    *(
        f"orchestration/studies/{part}.py"
        for part in ("c2", "c2_bench", "c2_cells", "c2_encoders", "short", "trainings")
    ),
)
CAPTIONS = {
    "effects": "Every variant's error less the default's, on the same held-out clips; ticks are seeds, the line holds "
    "the 95% interval of each.",
    "pareto": "Latent error against the FLOPs of a clip. A variant on the front is beaten in neither by another.",
    "scaling": "Errors by trainable parameters; ticks are seeds.",
}
STORED = ("dinov2", "qwen")
"""Encoders whose tokens the feature stores hold: of these only the cost is measured."""
Network = Literal["dinov2", "dinov2_multi", "qwen_premerge", "mobile_sam", "siglip", "mae", "eva_clip"]


class Queries(Part):
    """What a query is (design §4.3)."""

    query_mode: QueryMode = "learned"
    global_queries: bool = False


class Plan(Part):
    """The variants of every factor that does not depend on a profile."""

    streams: list[Literal["vlm_only", "dino_only"]]
    fusions: list[Literal["perceiver", "film", "concat"]]
    queries: dict[str, Queries]
    routes: dict[str, RouteSwitches]


class Encoder(Part):
    """A spatial encoder in DINOv2's place, and whose weights it has."""

    network: Network
    weights: Literal["profile", "fetched", "untrained"] | Pretrained
    width: PositiveInt | None = None
    depth: PositiveInt | None = None
    px: PositiveInt | None = Field(default=None, description="side of MobileSAM's square; 1024 as published")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        known = {
            "profile": ("dinov2", "dinov2_multi", "qwen_premerge"),
            "fetched": ("mobile_sam",),
            "untrained": ("dinov2", "siglip", "mae", "eva_clip"),
        }
        given = self.weights if isinstance(self.weights, str) else None
        if given and self.network not in known[given]:
            raise ValueError(
                f"weights: {given} is for {', '.join(known[given])}, not for {self.network}; give a source"
            )
        if (given == "untrained") != (self.width is not None and self.depth is not None):
            raise ValueError("width and depth belong to an untrained network, and only to one")
        if (given == "fetched") != (self.px is not None):
            raise ValueError("px belongs to mobile_sam's fetched weights, and only to them")
        return self


class Sizes(StudySizes):
    """How much is trained, on what, and how it is judged."""

    train: PositiveInt
    heldout: PositiveInt
    decoded: PositiveInt
    drawn: PositiveInt
    batch: PositiveInt
    seeds: list[int] = Field(min_length=1)
    default: Fusion
    fusions: dict[str, Fusion]
    training: Short
    generator: Short
    encoders: dict[str, Encoder]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if most := [name for name in ("decoded", "drawn") if getattr(self, name) > self.heldout]:
            raise ValueError(f"{', '.join(most)}: more than the {self.heldout} held-out clips")
        if reserved := sorted(set(self.encoders) & set(STORED)):
            raise ValueError(f"encoders: {', '.join(reserved)} is the default's own; give the variant another name")
        return self


def named(factor: str, variant: str, seed: int) -> str:
    """The cell of a training."""
    return f"{factor}-{variant}-{seed}"


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """Captions and encoders first, then each training; routes go on from the default of their seed."""
    clips: dict[str, JsonValue] = {"train": sizes.train, "heldout": sizes.heldout, "batch": sizes.batch}
    made = [Cell(TEXTS, {"kind": TEXTS, **clips})]
    made += [Cell(f"encoder-{name}", {"kind": "encoder", "stored": name, **clips}) for name in STORED]
    made += [
        Cell(f"encoder-{name}", {"kind": "encoder", "encoder": _plain(encoder), **clips}, (TEXTS,))
        for name, encoder in sizes.encoders.items()
    ]
    trained = {**clips, "kind": "fusion", "decoded": sizes.decoded, "training": _plain(sizes.training)}
    drawn = {**clips, "kind": "routes", "drawn": sizes.drawn, "training": _plain(sizes.generator)}
    for seed in sizes.seeds:
        for factor, variant, settings in _fusions(plan, sizes):
            after = (TEXTS, f"encoder-{variant}") if factor == "encoder" else (TEXTS,)
            made.append(Cell(named(factor, variant, seed), {**trained, **settings, "seed": seed}, after))
        for variant, routes in {"default": RouteSwitches(), **plan.routes}.items():
            start = named("fusion", "default", seed)
            settings = {**drawn, "routes": _plain(routes), "fusion": sizes.default.choices(), "seed": seed}
            made.append(Cell(named("routes", variant, seed), settings, (TEXTS, start)))
    return made


def _fusions(plan: Plan, sizes: Sizes) -> list[tuple[str, str, dict[str, Any]]]:
    """(factor, variant, settings) of all that Phase 2's objective trains."""
    default = sizes.default.choices()

    def one(
        arm: str = "hybrid", encoder: str = "dinov2", *, over: bool = False, probed: bool = False, **choices: Any
    ) -> dict[str, Any]:
        said = {"arm": arm, "spatial": encoder, "over_budget": over, "probed": probed}
        return {**said, "fusion": {**default, **choices}}

    return [
        ("fusion", "default", one(over=sizes.default.over_budget, probed=True)),
        *(("stream", arm, one(arm, probed=True)) for arm in plan.streams),
        *(("fusion", kind, one(kind=kind)) for kind in plan.fusions),
        *(("query", name, one(**_plain(queries))) for name, queries in plan.queries.items()),
        *(("encoder", name, one(encoder=name)) for name in sizes.encoders),
        *(("size", name, one(over=size.over_budget, **size.choices())) for name, size in sizes.fusions.items()),
    ]


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; see `orchestration.studies.c2_cells`."""
    from orchestration.studies import c2_cells

    return c2_cells.measure(cell, bench)


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Every variant against the default, clip by clip; see `orchestration.studies.c2_analysis`."""
    from orchestration.studies import c2_analysis

    variants = [(factor, variant) for factor, variant, _ in _fusions(plan, sizes)]
    variants += [("routes", variant) for variant in ("default", *plan.routes)]
    return c2_analysis.analyse(variants, sizes.seeds, measured, seed)


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """Effects, the Pareto front and the scaling study."""
    from orchestration.studies import c2_figures

    return c2_figures.figures(analysis.series)


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say."""
    from orchestration.studies import c2_analysis

    return c2_analysis.finding(analysis)


def _plain(part: Any) -> Any:
    return part.model_dump(mode="json")
