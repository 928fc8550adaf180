"""A predictor: context frames in, later frames out (§1.5, C3, Q5).

Phase 3 learned to draw clips that it was shown whole; a predictor goes on from there and is shown the first frames
alone. Its errors by step ahead stand beside two that need no model, the last latent frame copied and its last change
gone on, and what judges predictions against outcomes is calibrated on held-out clips. Made on demand, by `foresight run
--until predictor`; no gate asks for it.
"""

import dagster as dg

from orchestration import groups, phase_stage
from orchestration.data.datasets import Dataset
from orchestration.resources import Foresight


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """The predictor of one dataset."""

    @dg.asset(
        key=groups.key(dataset.name, "predictor"),
        op_tags=groups.priority(dataset.name, "predictor"),
        deps=[groups.key(dataset.name, name) for name in ("phase3", *phase_stage.DATA)],
        group_name=groups.PHASE3,
        owners=groups.SCIENCE,
        kinds={"pytorch", "mlflow"},
        description=groups.described(__doc__),
    )
    def predictor(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return phase_stage.train_predictor(context, foresight, dataset)

    return [predictor]
