"""What happens by itself, once a person switches it on: a new evaluation is decided once, a GO launches the next
phase once.

The decisions are plain functions over the instance and the log; the sensors are thin. A run_key makes a tick that is
repeated, by a restart or a crash, ask for the same run and not for another.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from orchestration import groups
from orchestration.datasets import Dataset
from orchestration.groups import PHASES
from orchestration.resources import Foresight

if TYPE_CHECKING:
    from orchestration.decisions import DecisionLog

LAST = max(PHASES)


def phase_keys(dataset: Dataset, phase: int) -> list[dg.AssetKey]:
    """A phase with its evaluation and its gate."""
    return [
        groups.key(dataset.name, name) for name in (f"phase{phase}", f"phase{phase}_evaluation", f"phase{phase}_gate")
    ]


def to_decide(event: dg.EventLogEntry | None, dataset: Dataset, phase: int) -> dg.RunRequest | None:
    """The run that decides an evaluation: one for each materialization of it."""
    if event is None:
        return None
    return dg.RunRequest(
        run_key=f"decide/{dataset.name}/{phase}/{event.run_id}",
        asset_selection=[groups.key(dataset.name, f"phase{phase}_gate")],
    )


def to_launch(log: "DecisionLog", dataset: Dataset, profile: str) -> Iterator[dg.RunRequest]:
    """The runs that follow from the decisions that stand: the next phase of every GO, one for each decision."""
    for phase in (phase for phase in PHASES if phase < LAST):
        decision = log.latest(phase, dataset=dataset.name, profile=profile)
        if decision is not None and decision.verdict == "GO":
            key = f"launch/{dataset.name}/{phase + 1}/{decision.sha256}"
            yield dg.RunRequest(run_key=key, asset_selection=phase_keys(dataset, phase + 1))


def sensors(dataset: Dataset) -> list[dg.SensorDefinition]:
    """The sensors of one dataset, all of them stopped until a person starts them."""
    return [*(_decider(dataset, phase) for phase in PHASES), _launcher(dataset)]


def _decider(dataset: Dataset, phase: int) -> dg.SensorDefinition:
    @dg.asset_sensor(
        name=f"{dataset.name}__decide_phase{phase}",
        asset_key=groups.key(dataset.name, f"phase{phase}_evaluation"),
        job=dg.define_asset_job(
            f"{dataset.name}__decide_phase{phase}_job", selection=[groups.key(dataset.name, f"phase{phase}_gate")]
        ),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"A new evaluation of phase {phase} is decided, once.",
    )
    def decide(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry):
        return to_decide(asset_event, dataset, phase)

    return decide


def _launcher(dataset: Dataset) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{dataset.name}__launch_next_phase",
        target=[key for phase in PHASES if phase > 1 for key in phase_keys(dataset, phase)],
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=60,
        description="A GO launches the next phase, once. A phase asks its gate again when it is dispatched.",
    )
    def launch(context: dg.SensorEvaluationContext, foresight: Foresight):
        from orchestration.record import decisions

        yield from to_launch(decisions(foresight.home), dataset, foresight.profile.name)

    return launch
