"""Names that the asset graph shares: groups in the order of the programme, owners, kinds, keys."""

from typing import Literal

import dagster as dg

from orchestration.studies import STUDIES as STUDY_NAMES

CLIPS, TOKENS, PREMISE, PHASE1, PHASE2, PHASE3, STUDIES, OUTSIDE, REPORT = (
    "1_clips",
    "2_features",
    "2_premise",
    "3_phase1",
    "4_phase2",
    "5_phase3",
    "6_studies",
    "7_real_clips",
    "8_report",
)
PHASES: dict[Literal[1, 2, 3], str] = {1: PHASE1, 2: PHASE2, 3: PHASE3}
ENGINEERING, SCIENCE, CHAIR = ["team:research-engineering"], ["team:research-science"], ["team:department-chair"]


def key(dataset: str, name: str) -> dg.AssetKey:
    """The key of a dataset's asset."""
    return dg.AssetKey([dataset, name])


def described(doc: str | None) -> str:
    """A module's docstring as an asset's description."""
    return (doc or "").strip()


ORDER = (
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
    "evaluation",
    *STUDY_NAMES,
    "report",
)


def priority(dataset: str, name: str) -> dict[str, str]:
    """An op tag: of the steps that could run, the one that comes first in the programme does; real clips come last."""
    place = ORDER.index(name.split("_")[0]) + (len(ORDER) if dataset == "real" else 0)
    return {"dagster/priority": str(-(2 * len(ORDER) if name == "report" else place))}
