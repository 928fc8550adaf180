"""Which assets a run makes: of one dataset or of the demo's two, all of them or up to a stage."""

from collections.abc import Iterable

import dagster as dg

from orchestration.data.datasets import GENERATED, REAL, Dataset
from orchestration.jobs import PREDICTOR
from orchestration.studies import STUDIES
from orchestration.studies.declaration import study

STAGES = (
    "clips",
    "shards",
    "dinov2",
    "qwen",
    "latents",
    "premise",
    "phase1",
    "phase2",
    "phase3",
    "predictor",
    "report",
)


class SelectionError(ValueError):
    """A stage that does not exist."""


def wanted(keys: Iterable[dg.AssetKey], names: set[str], until: str) -> list[dg.AssetKey]:
    """The keys of the named datasets, cut after a stage.

    A predictor only where it is the last that is asked for; a study too, with no more than what it starts from.
    """
    keys = list(keys)
    if until in STUDIES:
        before = max(("latents", *study(until).NEEDS), key=STAGES.index)
        return sorted([*wanted(keys, names, before), *(k for k in keys if k.path[0] in names and k.path[-1] == until)])
    keys = [key for key in keys if key.path[-1] not in STUDIES]
    if until and until not in STAGES:
        raise SelectionError(f"--until {until}: no such stage; one of {', '.join(STAGES)}")
    last = STAGES.index(until) if until else len(STAGES)
    within = {key for key in keys if key.path[0] in names and _place(key.path[-1]) <= last}
    return sorted(key for key in within if until == PREDICTOR or key.path[-1] != PREDICTOR)


def datasets_of(dataset: Dataset | None) -> set[str]:
    """The demo's two where none is named."""
    return {dataset.name} if dataset else {GENERATED, REAL}


def _place(name: str) -> int:
    """Where an asset stands in the order of stages; a phase's evaluation and gate stand with the phase."""
    stage = name.split("_")[0]
    return STAGES.index(stage) if stage in STAGES else STAGES.index("phase2")
