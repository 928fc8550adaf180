"""The go/no-go gate after a phase (§4.4).

A pure function of config/programme.yaml and the evaluation: GO, MARGINAL, NO_GO or INCONCLUSIVE, each criterion with
its value, its interval and the section that sets the threshold. The decision goes into an append-only, hash-chained
log before anything acts on it. The next phase asks that log again when it is dispatched. An override is a signed
event of its own, never an edit: `foresight gate approve`, or the two fields of this asset's launch configuration.
"""

import dagster as dg

from orchestration import groups
from orchestration.data.datasets import Dataset
from orchestration.gates import gate_stage
from orchestration.gates.gate_stage import GateConfig
from orchestration.phase_stage import Phase
from orchestration.resources import Foresight

OVERRIDES = """A person's signed word that the programme goes on past a gate: who, why, until when.

One materialization for each, however it was signed: the job `approve_gate`, `foresight gate approve`, or the launch
configuration of the gate. It stands beside the decision and never changes it.
"""


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """One gate a phase, each with a check that shows its verdict beside it."""
    return [_gate(dataset, phase) for phase in groups.PHASES]


def overrides(dataset: Dataset) -> list[dg.AssetSpec]:
    """Where each phase's overrides are seen: materialized by whatever signs one, and by nothing else."""
    return [
        dg.AssetSpec(
            groups.key(dataset.name, f"phase{phase}_override"),
            deps=[groups.key(dataset.name, f"phase{phase}_gate")],
            group_name=group,
            owners=groups.CHAIR,
            kinds={"sql"},
            description=OVERRIDES,
        )
        for phase, group in groups.PHASES.items()
    ]


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
