"""What happens by itself, once a person switches it on: a new evaluation is decided once, a GO launches the next
phase once.

No cursor says what is still to be done: at every tick it follows from what stands, which is the evaluation, the record
and the runs. So a tick that is killed, repeated or lost changes nothing; it asks for the same run again, under the same
run key, and Dagster makes no second run of one key. A gate run that failed, because the record or MLflow was away, is
asked for again under the next number, later each time. A phase is launched again only if its run ended before any step
of it began. The decisions are plain functions over the instance and the log; the sensors are thin.
"""

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration import groups
from orchestration.data.datasets import Dataset
from orchestration.documents import parse_evaluation
from orchestration.groups import PHASES
from orchestration.lock import look
from orchestration.orphans import fail_orphans
from orchestration.resources import Foresight

if TYPE_CHECKING:
    from orchestration.record.decisions import DecisionLog

LAST = max(PHASES)
FOR = "foresight/for"
"""The tag that says what a run was asked for: the same for all its attempts."""
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(minutes=1), dt.timedelta(hours=1)
FAILED = dg.DagsterRunStatus.FAILURE


class BrokenRecordError(RuntimeError):
    """A record that somebody edited: nothing is decided or launched on it."""


def phase_keys(dataset: Dataset, phase: int) -> list[dg.AssetKey]:
    """A phase with its evaluation and its gate."""
    return [
        groups.key(dataset.name, name) for name in (f"phase{phase}", f"phase{phase}_evaluation", f"phase{phase}_gate")
    ]


def to_decide(
    instance: dg.DagsterInstance, log: "DecisionLog", dataset: Dataset, phase: int, now: dt.datetime
) -> dg.RunRequest | dg.SkipReason:
    """The run that decides the newest evaluation of a phase, or why there is none to ask for.

    An evaluation is decided when the gate was materialized with a decision on it that the log holds. One that was made
    again and says the same needs no new decision.
    """
    found = instance.fetch_materializations(groups.key(dataset.name, f"phase{phase}_evaluation"), limit=1).records
    if not found:
        return dg.SkipReason(f"phase {phase} of {dataset.name} has not been evaluated")
    evaluated = parse_evaluation(_json(found[0].asset_materialization, "evaluation")).sha256
    gates = instance.fetch_materializations(groups.key(dataset.name, f"phase{phase}_gate"), limit=1).records
    decision = _json(gates[0].asset_materialization, "decision") if gates else {}
    if decision and decision["pins"].get("evaluation_sha256") == evaluated and _logged(log, phase, decision["sha256"]):
        return dg.SkipReason(f"decided: {decision['verdict']} (decision {decision['sha256'][:12]})")
    asked = f"decide/{dataset.name}/{phase}/{found[0].storage_id}"
    runs = _runs(instance, asked)
    failed = [run for run in runs if run.dagster_run.status == FAILED]
    if failed:
        ended = dt.datetime.fromtimestamp(max(run.end_time or 0.0 for run in failed), dt.UTC)
        due = ended + min(FIRST_WAIT * 2 ** (len(failed) - 1), LONGEST_WAIT)
        if ended <= now < due:  # a clock that was set back must not make it wait until it has caught up
            return dg.SkipReason(f"{len(failed)} tries to decide it failed; the next is due at {due:%H:%M:%S} UTC")
    return _request(asked, len(failed), [groups.key(dataset.name, f"phase{phase}_gate")])


def to_launch(
    instance: dg.DagsterInstance, log: "DecisionLog", dataset: Dataset, profile: str
) -> Iterator[dg.RunRequest]:
    """The runs that follow from the decisions that stand: the next phase of every GO, one for each decision."""
    for phase in (phase for phase in PHASES if phase < LAST):
        decision = log.latest(phase, dataset=dataset.name, profile=profile)
        if decision is not None and decision.verdict == "GO":
            asked = f"launch/{dataset.name}/{phase + 1}/{decision.sha256}"
            stillborn = [run for run in _runs(instance, asked) if _never_began(instance, run)]
            yield _request(asked, len(stillborn), phase_keys(dataset, phase + 1))


def sensors(dataset: Dataset) -> list[dg.SensorDefinition]:
    """The sensors of one dataset, all of them stopped until a person starts them."""
    return [*(_decider(dataset, phase) for phase in PHASES), _launcher(dataset)]


def _decider(dataset: Dataset, phase: int) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{dataset.name}__decide_phase{phase}",
        job=dg.define_asset_job(
            f"{dataset.name}__decide_phase{phase}_job", selection=[groups.key(dataset.name, f"phase{phase}_gate")]
        ),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
        description=f"A new evaluation of phase {phase} is decided, once.",
    )
    def decide(context: dg.SensorEvaluationContext, foresight: Foresight):
        if busy := _busy(context, foresight):
            return busy
        return to_decide(context.instance, _record(foresight), dataset, phase, dt.datetime.now(dt.UTC))

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
        if busy := _busy(context, foresight):
            yield busy
            return
        requests = list(to_launch(context.instance, _record(foresight), dataset, foresight.profile.name))
        yield from requests or [dg.SkipReason(f"no gate before phase {LAST}'s is GO")]

    return launch


def _busy(context: dg.SensorEvaluationContext, foresight: Foresight) -> dg.SkipReason | None:
    """A run that is asked for while another holds the home would be refused: ask when it is over."""
    for run_id in fail_orphans(context.instance, foresight.home.lock):
        context.log.warning(f"run {run_id} was killed: reported as failed")
    holder = look(foresight.home.lock).holder
    return dg.SkipReason(f"{holder}; asked again when it is over") if holder else None


def _record(foresight: Foresight) -> "DecisionLog":
    """The log, if its chain holds: an edited decision must launch nothing."""
    from orchestration.record.opened import decisions

    log = decisions(foresight.home)
    if broken := log.verify():
        raise BrokenRecordError(f"the record is broken at {broken}; nothing is done on it: see `foresight gate log`")
    return log


def _request(asked: str, attempts: int, keys: list[dg.AssetKey]) -> dg.RunRequest:
    """The same key for the same attempt, however often it is asked for."""
    return dg.RunRequest(run_key=f"{asked}/{attempts + 1}", asset_selection=keys, tags={FOR: asked})


def _runs(instance: dg.DagsterInstance, asked: str) -> list[dg.RunRecord]:
    return list(instance.get_run_records(dg.RunsFilter(tags={FOR: asked})))


def _never_began(instance: dg.DagsterInstance, run: dg.RunRecord) -> bool:
    return run.dagster_run.status == FAILED and not instance.get_run_step_stats(run.dagster_run.run_id)


def _logged(log: "DecisionLog", phase: int, sha256: str) -> bool:
    return any(decision.sha256 == sha256 for _, decision in log.decisions(phase))


def _json(materialization: dg.AssetMaterialization | None, name: str) -> dict[str, Any]:
    """A document in the metadata of a materialization; empty where there is none."""
    found = materialization.metadata.get(name) if materialization else None
    return found.value if isinstance(found, dg.JsonMetadataValue) and isinstance(found.value, dict) else {}
