"""What a study's asset does: measure through the worker, decide by the declared rule, and record it (ADR 24)."""

from typing import cast

import dagster as dg

from orchestration.data.datasets import Dataset
from orchestration.experiments.documents import ExperimentDecision
from orchestration.experiments.premise_stage import claims
from orchestration.jobs import Job
from orchestration.phase_stage import Phase, job_of, predictor_job, reported, result_of, training_job
from orchestration.plan.programme import load as programme
from orchestration.record.opened import experiments
from orchestration.resources import Foresight
from orchestration.studies import declaration as declarations
from orchestration.studies.documents import read_study
from orchestration.studies.rule import decide
from orchestration.studies.stage import DOCUMENT

STANDS = "hypothesis_stands"


def study_job(foresight: Foresight, dataset: Dataset, name: str) -> Job:
    """The job that runs a study on a dataset; it comes out of its phase's hours, and reserves what it declares."""
    declared, module = declarations.load(name), declarations.study(name)
    trained = {need: _trained(foresight, dataset, need) for need in module.NEEDS}
    job = job_of(foresight, dataset, name, cast(Phase, module.PHASE), name, trained, module.WEIGHTS)
    hours = declared.sized(job.profile).max_hours
    budget = job.profile.budget.model_copy(update={"max_hours": hours})
    profile = job.profile.model_copy(update={"budget": budget})
    return job.model_copy(update={"study": declared, "profile": profile})


def measured(
    context: dg.AssetExecutionContext, foresight: Foresight, dataset: Dataset, name: str
) -> dg.MaterializeResult:
    """Measure the cells that are not measured yet, and decide."""
    job = study_job(foresight, dataset, name)
    result, made = result_of(context, job, by_cells=True)
    assert job.study is not None
    document = read_study(job.out / DOCUMENT, name)
    decision = decide(job.study, document, standins_decide=programme().gate.standins_decide)
    experiments(foresight.home).record(decision)
    context.log.info(f"{name}: {decision.verdict} (decision {decision.sha256[:12]})")
    return reported(context, job, result, made, _told(job, decision), [_check(decision)])


def _trained(foresight: Foresight, dataset: Dataset, need: str) -> Job:
    if need == "predictor":
        return predictor_job(foresight, dataset)
    return training_job(foresight, dataset, cast(Phase, int(need.removeprefix("phase"))))


def _told(job: Job, decision: ExperimentDecision) -> dict[str, dg.MetadataValue]:
    return {
        "verdict": dg.MetadataValue.text(decision.verdict),
        "finding": dg.MetadataValue.md(decision.finding),
        "claims": claims(decision),
        "decision": dg.MetadataValue.json(decision.document()),
        "page": dg.MetadataValue.path(str(job.out / "page.html")),
    }


def _check(decision: ExperimentDecision) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=STANDS,
        passed=decision.verdict == "stands",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdict": decision.verdict, "claims": claims(decision)},
    )
