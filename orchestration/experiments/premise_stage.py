"""What the premise asset does: measure through the worker, then decide by the declared rule and record it before
anything acts on it (design §4.10, §7).
"""

import dagster as dg

from orchestration.data.datasets import Dataset
from orchestration.experiments import declaration as declarations
from orchestration.experiments.documents import ExperimentDecision, read_premise
from orchestration.experiments.premise import decide
from orchestration.jobs import PREMISE, Job
from orchestration.phase_stage import PREMISE_WEIGHTS, job_of, reported, result_of
from orchestration.plan.programme import load as programme
from orchestration.record.opened import experiments
from orchestration.resources import Foresight

AUDIT = "audit.json"
STANDS = "premise_stands"


def premise_job(foresight: Foresight, dataset: Dataset) -> Job:
    """The job that audits the premise on a dataset; it comes out of Phase 1's hours, and reserves what it declares."""
    declaration = declarations.load()
    job = job_of(foresight, dataset, PREMISE, 1, PREMISE, {}, (*PREMISE_WEIGHTS, "mobile_sam"))
    hours = declaration.sizes_of(job.profile).max_hours
    budget = job.profile.budget.model_copy(update={"max_hours": hours})
    profile = job.profile.model_copy(update={"budget": budget})
    return job.model_copy(update={"declaration": declaration, "profile": profile})


def audit(context: dg.AssetExecutionContext, foresight: Foresight, dataset: Dataset) -> dg.MaterializeResult:
    """Measure what is not measured yet, and decide."""
    job = premise_job(foresight, dataset)
    result, made = result_of(context, job, by_cells=True)
    assert job.declaration is not None
    measured = read_premise(job.out / AUDIT)
    decision = decide(job.declaration, measured, standins_decide=programme().gate.standins_decide)
    log = experiments(foresight.home)
    log.record(decision)
    context.log.info(f"premise: {decision.verdict} (decision {decision.sha256[:12]})")
    override = log.live_override(PREMISE, profile=foresight.profile.name)
    said = {"override": dg.MetadataValue.json(override.document())} if override else {}
    more = {
        "verdict": decision.verdict,
        "finding": dg.MetadataValue.md(decision.finding),
        "claims": claims(decision),
        "decision": dg.MetadataValue.json(decision.document()),
        "page": dg.MetadataValue.path(str(job.out / "page.html")),
        **said,
    }
    check = dg.AssetCheckResult(
        check_name=STANDS,
        passed=decision.verdict == "stands",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdict": decision.verdict, "claims": claims(decision)},
    )
    return reported(context, job, result, made, more, [check])


def claims(decision: ExperimentDecision) -> dg.TableMetadataValue:
    """The claims as a table of Dagster's."""
    rows = [{name: str(value) for name, value in claim.document().items()} for claim in decision.claims]
    columns = [dg.TableColumn(name, "string") for name in rows[0]]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], dg.TableSchema(columns))
