"""Phase 1: spatial reconstruction (§1.4).

The fusion module learns to turn DINOv2 tokens alone into VAE latents, and through the frozen decoder into pixels; the
VLM stream is absent. Purpose: to know that the spatial pathway carries before anything is added to it. On real weights
it is not dispatched unless the premise stands or a person signs for it.
"""

import dagster as dg

from orchestration import groups, phase_stage
from orchestration.data.datasets import Dataset
from orchestration.resources import Foresight


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """The trained fusion module of Phase 1."""

    @dg.asset(
        key=groups.key(dataset.name, "phase1"),
        op_tags=groups.priority(dataset.name, "phase1"),
        deps=[groups.key(dataset.name, name) for name in ("premise", *phase_stage.DATA)],
        group_name=groups.PHASE1,
        owners=groups.SCIENCE,
        kinds={"pytorch", "mlflow"},
        description=groups.described(__doc__),
    )
    def phase1(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return phase_stage.train(context, foresight, dataset, 1)

    return [phase1]
