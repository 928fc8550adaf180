"""What a phase's checkpoints are worth, measured on held-out clips: the only place that decodes pixels again.

Each metric carries its protocol and a 95% bootstrap interval over clips, and stands beside the baselines: copy of the
last frame, mean frame, VAE round trip (the ceiling), shuffled conditioning. The result is the evaluation document of
a phase.
"""

import dagster as dg

from orchestration import groups, phase_stage
from orchestration.data.datasets import GENERATED, Dataset
from orchestration.phase_stage import Phase
from orchestration.resources import Foresight

OUTSIDE = """The Phase-2 hybrid on real clips, out of domain.

It was trained on generated clips only, and its encoders and decoder may be stand-ins that have seen no other. No gate
reads this: it shows how far the numbers of the generated clips reach. The VAE round trip beside it is the ceiling.
"""


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """One evaluation a phase."""
    return [_evaluation(dataset, phase) for phase in groups.PHASES]


def outside(dataset: Dataset) -> dg.AssetsDefinition:
    """The evaluation of what was trained on generated clips on a dataset that none of it has seen."""
    trained_on = Dataset(GENERATED, GENERATED)

    @dg.asset(
        key=groups.key(dataset.name, "evaluation"),
        op_tags=groups.priority(dataset.name, "evaluation"),
        deps=[groups.key(GENERATED, "phase2"), *(groups.key(dataset.name, name) for name in phase_stage.DATA)],
        group_name=groups.OUTSIDE,
        owners=groups.SCIENCE,
        kinds={"pytorch", "json"},
        description=OUTSIDE.strip(),
    )
    def evaluation(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return phase_stage.evaluate(context, foresight, dataset, 2, trained_on)

    return evaluation


def _evaluation(dataset: Dataset, phase: Phase) -> dg.AssetsDefinition:
    @dg.asset(
        key=groups.key(dataset.name, f"phase{phase}_evaluation"),
        op_tags=groups.priority(dataset.name, f"phase{phase}_evaluation"),
        deps=[groups.key(dataset.name, name) for name in (f"phase{phase}", *phase_stage.DATA)],
        group_name=groups.PHASES[phase],
        owners=groups.SCIENCE,
        kinds={"pytorch", "json"},
        description=groups.described(__doc__),
    )
    def evaluation(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return phase_stage.evaluate(context, foresight, dataset, phase)

    return evaluation
