"""The experiments that remain (§5): C2, Q3, C3, Q4, Q5, C4, each declared in config/experiments/ before it is run.

A study is made of cells; each is measured once, kept with its result per clip, and a nested run in MLflow. The rule
that was declared makes the verdict: the hypothesis stands, falls or is open. Nothing waits for one, and none runs by
itself: `foresight experiment NAME`, or its own job.
"""

import dagster as dg

from orchestration import groups, phase_stage, study_stage
from orchestration.data.datasets import Dataset
from orchestration.resources import Foresight
from orchestration.studies import declared
from orchestration.studies.declaration import StudyDeclaration, load, study


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """The studies of one dataset."""
    return [_asset(dataset, load(name)) for name in declared()]


def _asset(dataset: Dataset, declaration: StudyDeclaration) -> dg.AssetsDefinition:
    name = declaration.name
    key = groups.key(dataset.name, name)

    @dg.asset(
        key=key,
        op_tags=groups.priority(dataset.name, name),
        deps=[groups.key(dataset.name, one) for one in (*study(name).NEEDS, *phase_stage.DATA)],
        check_specs=[
            dg.AssetCheckSpec(
                study_stage.STANDS, asset=key, description="Whether the hypothesis stands. It blocks nothing."
            )
        ],
        group_name=groups.STUDIES,
        owners=groups.SCIENCE,
        kinds={"pytorch", "mlflow"},
        description=f"{declaration.title} (§{declaration.section})\n\n{declaration.hypothesis.says}",
    )
    def experiment(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return study_stage.measured(context, foresight, dataset, name)

    return experiment
