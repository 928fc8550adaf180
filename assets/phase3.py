"""Phase 3: the full system (§1.4).

Flow matching in the LTX transformer, conditioned by the hybrid's tokens: LoRA on its attention and the fusion module
learn together. Not dispatched without Phase 2's GO or a recorded override.
"""

import dagster as dg

from orchestration import groups, phase_stage
from orchestration.data.datasets import Dataset
from orchestration.resources import Foresight


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """The adapters and the fusion module of Phase 3."""

    @dg.asset(
        key=groups.key(dataset.name, "phase3"),
        op_tags=groups.priority(dataset.name, "phase3"),
        deps=[groups.key(dataset.name, name) for name in ("phase2", "phase2_gate", *phase_stage.DATA)],
        group_name=groups.PHASE3,
        owners=groups.SCIENCE,
        kinds={"pytorch", "mlflow"},
        description=groups.described(__doc__),
    )
    def phase3(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return phase_stage.train(context, foresight, dataset, 3)

    return [phase3]
