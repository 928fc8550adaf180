"""What every gate asset does: decide the evaluation that stands, record it, show it, copy it to MLflow (design §7,
§12).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from orchestration import tracking
from orchestration.compare import clip_values
from orchestration.data.datasets import Dataset
from orchestration.documents import Decision, read_evaluation
from orchestration.gates.board import criteria_rows
from orchestration.gates.overall import next_step
from orchestration.phase_stage import Phase, document_path, evaluation_job
from orchestration.plan.programme import load as programme
from orchestration.record import mirror
from orchestration.record.opened import decisions
from orchestration.resources import Foresight


class GateConfig(dg.Config):
    """Who lets the programme go on past a gate that is not GO, and why. Empty: nobody does."""

    override_by: str = Field(default="", description="the name that answers for going on")
    override_why: str = Field(default="", description="the reason, as it will stand in the log and in the report")


def decide(
    context: dg.AssetExecutionContext, config: GateConfig, foresight: Foresight, dataset: Dataset, phase: Phase
) -> dg.MaterializeResult:
    """Decide once: the same evaluation under the same programme gives back the decision that is already in the log.

    Where the log or MLflow is away nothing is decided: a verdict whose evidence cannot be reached is no verdict.
    """
    tracking.require(foresight.home)
    log, profile = decisions(foresight.home), foresight.profile.name
    job = evaluation_job(foresight, dataset, phase)
    path = document_path(foresight, dataset, phase)
    evaluation = read_evaluation(path)
    pins = {"dataset": dataset.name, "data_version": job.data_version, "weights": dict(job.weights)}
    pins |= clip_values.pin(evaluation, path)
    decision = log.decide(programme(), evaluation, pins=pins, profile=profile)
    context.log.info(f"phase {phase}: {decision.verdict} -> {decision.action} (decision {decision.sha256[:12]})")
    override = log.live_override(phase, dataset=dataset.name, profile=profile)
    if decision.verdict != "GO" and override is None and config.override_by:
        override = log.approve(phase, config.override_by, config.override_why, dataset=dataset.name, profile=profile)
        context.log.warning(f"phase {phase}: {decision.verdict}, overridden by {override.by}: {override.why}")
    copy(context, foresight)
    said = (
        {} if override is None or decision.verdict == "GO" else {"override": dg.MetadataValue.json(override.document())}
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(decision.sha256[:32]),
        metadata={**decision_metadata(decision.document()), **said},
        check_results=[
            dg.AssetCheckResult(
                check_name="verdict_is_go",
                passed=decision.verdict == "GO",
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"verdict": decision.verdict, "criteria": criteria(decision)},
            )
        ],
    )


def copy(context: dg.AssetExecutionContext | dg.OpExecutionContext, foresight: Foresight) -> None:
    """Copy what was recorded to MLflow and Dagster; what is away now is caught up later."""
    home, log = foresight.home, decisions(foresight.home)
    for to in (lambda: mirror.to_dagster(home, log, context.instance), lambda: mirror.to_mlflow(home, log)):
        try:
            to()
        except mirror.MirrorError as error:
            context.log.warning(str(error))


def decision_metadata(document: Mapping[str, Any]) -> dict[str, Any]:
    """A decision as Dagster shows it."""
    decision = Decision.model_validate(document)
    failed = {"next_step": next_step(programme(), decision.phase)} if decision.verdict == "NO_GO" else {}
    return {
        "verdict": decision.verdict,
        "action": decision.action,
        "criteria": criteria(decision),
        "decision": dg.MetadataValue.json(decision.document()),
        "clips_needed": decision.clips_needed or 0,
        **failed,
    }


def override_metadata(document: Mapping[str, Any]) -> dict[str, Any]:
    """An override as Dagster shows it."""
    until = document["until"] or "the phase's next decision"
    return {"by": document["by"], "why": document["why"], "until": until, "override": dg.MetadataValue.json(document)}


def criteria(decision: Decision) -> dg.TableMetadataValue:
    """The board of a decision as a table of Dagster's."""
    rows = [{name: str(value) for name, value in row.items()} for row in criteria_rows(decision)]
    columns = [dg.TableColumn(name, "string") for name in rows[0]] if rows else []
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], dg.TableSchema(columns))
