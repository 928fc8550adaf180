"""A code location with the programme's schedules over assets that do nothing; it is loaded anew for each zone."""

import dagster as dg

from orchestration import groups
from orchestration.data.datasets import GENERATED, Dataset
from orchestration.plan.programme import load
from orchestration.plan.weeks import zone
from orchestration.schedules import schedules

NAMES = ("phase1_gate", "phase2_gate", "phase3_gate", "report")


def _asset(name: str) -> dg.AssetsDefinition:
    @dg.asset(key=groups.key(GENERATED, name))
    def nothing() -> None: ...

    return nothing


defs = dg.Definitions(
    assets=[_asset(name) for name in NAMES],
    schedules=schedules(Dataset(GENERATED, GENERATED), {1: 3, 2: 5, 3: 7}, zone(load().timeline)),
)
