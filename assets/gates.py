"""The go/no-go gate after a phase (§4.4).

A pure function of config/programme.yaml and the evaluation: GO, MARGINAL, NO_GO or INCONCLUSIVE, each criterion with
its value, its interval and the section that sets the threshold. The decision goes into an append-only, hash-chained
log before anything acts on it. The next phase asks that log again when it is dispatched. An override is a signed
event of its own, never an edit: `foresight gate approve`, or the two fields of this asset's launch configuration.
"""

import dagster as dg

from orchestration import gate_stage, groups
from orchestration.datasets import Dataset
from orchestration.gate_stage import GateConfig
from orchestration.phase_stage import Phase
from orchestration.resources import Foresight


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """One gate a phase, each with a check that shows its verdict beside it."""
    return [_gate(dataset, phase) for phase in groups.PHASES]


def _gate(dataset: Dataset, phase: Phase) -> dg.AssetsDefinition:
    key = groups.key(dataset.name, f"phase{phase}_gate")

    @dg.asset(
        key=key,
        op_tags=groups.priority(dataset.name, f"phase{phase}_gate"),
        deps=[groups.key(dataset.name, f"phase{phase}_evaluation")],
        check_specs=[
            dg.AssetCheckSpec(
                "verdict_is_go", asset=key, description="Whether the gate says GO. It blocks nothing here."
            )
        ],
        group_name=groups.PHASES[phase],
        owners=groups.CHAIR,
        kinds={"sql", "yaml"},
        description=groups.described(__doc__),
    )
    def gate(context: dg.AssetExecutionContext, config: GateConfig, foresight: Foresight) -> dg.MaterializeResult:
        return gate_stage.decide(context, config, foresight, dataset, phase)

    return gate
