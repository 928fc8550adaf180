"""Phase 2: semantic integration (§1.4).

The VLM stream joins. Three arms with equal parameters, tokens and steps: `hybrid`, `vlm_only`, `dino_only`; only
against the two single streams can the hybrid be said to exceed them (§4.4). Not dispatched without Phase 1's GO or a
recorded override.
"""

import dagster as dg

from orchestration import groups, phase_stage
from orchestration.data.datasets import Dataset
from orchestration.resources import Foresight


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """The three trained arms of Phase 2."""

    @dg.asset(
        key=groups.key(dataset.name, "phase2"),
        op_tags=groups.priority(dataset.name, "phase2"),
        deps=[groups.key(dataset.name, name) for name in ("phase1", "phase1_gate", *phase_stage.DATA)],
        group_name=groups.PHASE2,
        owners=groups.SCIENCE,
        kinds={"pytorch", "mlflow"},
        description=groups.described(__doc__),
    )
    def phase2(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return phase_stage.train(context, foresight, dataset, 2)

    return [phase2]
