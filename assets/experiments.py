"""The premise audit: what the pivot rests on, measured before Phase 1 spends anything (design §4.10).

Q2 again, by the same probe on the VLM's tokens after its merger, before it with their order restored and as the library
returns them, on DINOv2 and on MobileSAM. Q1 again, CKA unbiased and biased, each beside its nulls at several numbers
of clips. Hypothesis and rule were declared before the run in config/experiments/premise.yaml; the verdict, that the
premise stands, falls or is open, goes into the append-only record. On real weights Phase 1 is not dispatched unless it
stands or a person signs for it.
"""

import dagster as dg

from orchestration import groups, phase_stage
from orchestration.data.datasets import Dataset
from orchestration.experiments import premise_stage
from orchestration.resources import Foresight


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """The experiments on one dataset."""
    key = groups.key(dataset.name, "premise")

    @dg.asset(
        key=key,
        op_tags=groups.priority(dataset.name, "premise"),
        deps=[groups.key(dataset.name, name) for name in phase_stage.DATA],
        check_specs=[
            dg.AssetCheckSpec(
                premise_stage.STANDS, asset=key, description="Whether the premise stands. It blocks nothing here."
            )
        ],
        group_name=groups.PREMISE,
        owners=groups.SCIENCE,
        kinds={"pytorch", "mlflow"},
        description=groups.described(__doc__),
    )
    def premise(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return premise_stage.audit(context, foresight, dataset)

    return [premise]
