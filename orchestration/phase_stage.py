"""What every phase asset does: ask for clearance, reserve the budget, send a typed job, settle, report (design §7,
§8).

A result on disk that was made from the same inputs, weights, recipe and source is taken as it is, and the asset says
so.
"""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from orchestration import times
from orchestration.budget import budget, spending
from orchestration.data.datasets import Dataset
from orchestration.dispatch.parcels import JobParcel
from orchestration.dispatch.send import dispatch
from orchestration.dispatch.task import Task
from orchestration.experiments import declaration
from orchestration.gates.clearance import Clearance, clearance, premise_clearance
from orchestration.home import Home
from orchestration.jobs import DATA, EVALUATE, PREDICTOR, RESULT, Job
from orchestration.plan.programme import load as programme
from orchestration.record.opened import decisions, experiments
from orchestration.resources import Foresight
from orchestration.system import fusion_budget
from orchestration.versioning import code_commit

EVALUATION = "evaluation.json"
PREMISE_WEIGHTS = ("qwen", "dinov2", "vae")
"""The frozen weights that the premise is about."""
TRAINED_WITH = {
    1: ("dinov2", "vae", "ltx", "lpips_alex"),
    2: ("dinov2", "qwen", "vae", "ltx", "lpips_alex"),
    3: ("dinov2", "qwen", "vae", "ltx"),
}
JUDGED_BY = {
    1: ("qwen", "lpips_alex", "lpips_vgg"),
    2: ("qwen", "lpips_alex", "lpips_vgg", "minilm"),
    3: ("qwen", "lpips_alex", "lpips_vgg", "i3d"),
}
MASKED_BY = ("segmenter", "mobile_sam")
"""Whose masks Spatial IoU compares (§6). No training loads them, but its job names their hashes: they are fixed before
it begins, and what is to be judged by others has to be trained again.
"""
VERIFIED_BY = ("mobile_sam", "lpips_vgg")
"""What may hold a prediction against its outcome: no training went through it (design §4.12)."""
Phase = Literal[1, 2, 3]


class PhaseError(RuntimeError):
    """A phase that cannot be sent off as things stand."""


def training_job(foresight: Foresight, dataset: Dataset, phase: Phase) -> Job:
    """The job that trains a phase on a dataset, from what stands in the home now."""
    before: Phase | None = {2: 1, 3: 2}.get(phase)  # type: ignore[assignment]
    trained = {f"phase{before}": training_job(foresight, dataset, before)} if before else {}
    weights = (*TRAINED_WITH[phase], *MASKED_BY)
    return job_of(foresight, dataset, f"phase{phase}", phase, f"phase{phase}", trained, weights)


def evaluation_job(foresight: Foresight, dataset: Dataset, phase: Phase, trained_on: Dataset | None = None) -> Job:
    """The job that evaluates a phase on the held-out clips of a dataset."""
    trained = {f"phase{phase}": training_job(foresight, trained_on or dataset, phase)}
    weights = dict.fromkeys((*TRAINED_WITH[phase], *MASKED_BY, *JUDGED_BY[phase]))
    return job_of(foresight, dataset, EVALUATE, phase, f"phase{phase}/evaluation", trained, tuple(weights))


def predictor_job(foresight: Foresight, dataset: Dataset) -> Job:
    """The job that trains a predictor from Phase 3's checkpoint, out of its hours, and calibrates its judge."""
    trained = {"phase3": training_job(foresight, dataset, 3)}
    weights = (*TRAINED_WITH[3], *VERIFIED_BY)
    return job_of(foresight, dataset, PREDICTOR, 3, PREDICTOR, trained, weights)


def train_predictor(context: dg.AssetExecutionContext, foresight: Foresight, dataset: Dataset) -> dg.MaterializeResult:
    """Train a dataset's predictor, unless this very one stands already."""
    job = predictor_job(foresight, dataset)
    result, made = result_of(context, job)
    return reported(context, job, result, made, {})


def train(
    context: dg.AssetExecutionContext, foresight: Foresight, dataset: Dataset, phase: Phase
) -> dg.MaterializeResult:
    """Train a phase, if it may be and has to be."""
    size = fusion_budget.require(foresight.profile, programme())
    cleared = _cleared(foresight, dataset, phase).require()
    context.log.info(cleared.because)
    job = training_job(foresight, dataset, phase)
    result, made = result_of(context, job)
    told = {"cleared_because": cleared.because, "fusion": fusion_budget.said(foresight.profile, size)}
    return reported(context, job, result, made, told)


def _cleared(foresight: Foresight, dataset: Dataset, phase: Phase) -> Clearance:
    """Phase 1 looks at the premise, every other phase at the gate before it."""
    profile = foresight.profile
    if phase > 1:
        return clearance(phase, decisions(foresight.home), programme(), dataset=dataset.name, profile=profile.name)
    return premise_clearance(
        experiments(foresight.home),
        declaration.load(),
        dataset=dataset.name,
        profile=profile.name,
        standins=profile.standins,
        weights={name: profile.hash_of(name) for name in PREMISE_WEIGHTS},
    )


def evaluate(
    context: dg.AssetExecutionContext,
    foresight: Foresight,
    dataset: Dataset,
    phase: Phase,
    trained_on: Dataset | None = None,
) -> dg.MaterializeResult:
    """Evaluate a phase's checkpoints, unless this very evaluation stands already."""
    job = evaluation_job(foresight, dataset, phase, trained_on)
    result, made = result_of(context, job)
    document = json.loads(document_path(foresight, dataset, phase).read_text(encoding="utf-8"))
    shares = share_table(result.get("stream_shares", {}))
    told = {"evaluation": dg.MetadataValue.json(document), **metric_table(document), **shares}
    return reported(context, job, result, made, told)


def document_path(foresight: Foresight, dataset: Dataset, phase: int) -> Path:
    """Where the evaluation document of a phase lies: beside the checkpoints that it speaks of."""
    return foresight.home.run(dataset.name, f"phase{phase}") / EVALUATION


def finished(job: Job) -> dict[str, Any] | None:
    """The result of this very job, when it was made to the end."""
    path = job.out / RESULT
    if not path.is_file():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    return result if result.get("fingerprint") == job.fingerprint else None


def metric_table(document: Mapping[str, Any]) -> dict[str, dg.MetadataValue]:
    """The metrics of an evaluation as a table, with intervals and protocols; and each value, to plot over runs."""
    table = _table("metric", document["metrics"])
    values = {name: m["value"] for name, m in document["metrics"].items() if m["value"] is not None}
    return {
        **({"metrics": table} if table else {}),
        **{name: dg.MetadataValue.float(float(value)) for name, value in values.items()},
    }


def share_table(shares: Mapping[str, Any]) -> dict[str, dg.MetadataValue]:
    """Which stream was listened to, by region and layer, as a table."""
    table = _table("semantic stream's share of", shares)
    return {"stream_shares": table} if table else {}


def _table(first: str, rows: Mapping[str, Mapping[str, Any]]) -> dg.MetadataValue | None:
    """Numbers with intervals and protocols, a row each, under the name of their first column."""
    schema = dg.TableSchema(
        [dg.TableColumn(name, "string") for name in (first, "value", "low", "high", "n", "protocol")]
    )
    records = [dg.TableRecord({first: name, **{k: _cell(v) for k, v in row.items()}}) for name, row in rows.items()]
    return dg.MetadataValue.table(records, schema) if records else None


def job_of(
    foresight: Foresight,
    dataset: Dataset,
    stage: str,
    phase: Phase,
    folder: str,
    trained: Mapping[str, Job],
    weights: tuple[str, ...],
) -> Job:
    """A job over a dataset of the home, from what stands there now."""
    workspace, profile = foresight.workspace(dataset), foresight.profile
    return Job(
        stage=stage,
        phase=phase,
        dataset=dataset.name,
        home=foresight.home.root,
        workspace=workspace.root,
        out=foresight.home.run(dataset.name, folder),
        profile=profile,
        data_versions={stage: workspace.version(stage) for stage in DATA},
        weights={name: profile.hash_of(name) for name in weights},
        inputs={name: job.out for name, job in trained.items()},
        input_fingerprints={name: job.fingerprint for name, job in trained.items()},
        code_commit=code_commit(),
    )


def result_of(context: dg.AssetExecutionContext, job: Job, *, by_cells: bool = False) -> tuple[dict[str, Any], bool]:
    """The job's result, and whether it had to be made now.

    Args:
        by_cells: the stage itself knows which parts of its folder still count; it is never emptied.
    """
    result = finished(job)
    if result is not None:
        context.log.info(f"{job.stage}: made before from the same inputs ({job.fingerprint[:12]}); not run again")
        return result, False
    _require_inputs(job)
    if not by_cells:
        _clear_other(job)
    began = time.monotonic()
    booked, profile = spending.account(job), job.profile
    parcel, purse = JobParcel(booked.work, job), spending.Paid(booked, context.log)
    needs, beside = profile.needs(job.stage), profile.gpus_of_workers(job.stage)
    task = Task(booked.work, job.stage, needs, parcel, purse, beside)
    result = {**dispatch(context, task, profile.dispatch), "fingerprint": job.fingerprint}
    times.note(Home(job.home), job.dataset, context.asset_key.path[-1], time.monotonic() - began)
    part = job.out / f"{RESULT}.part"
    part.write_text(json.dumps(result, indent=1), encoding="utf-8")
    part.replace(job.out / RESULT)
    return result, True


def _require_inputs(job: Job) -> None:
    """Refuse checkpoints that are not there, or that other data, weights or code made: the result would be misnamed."""
    for name, folder in job.inputs.items():
        path = folder / RESULT
        made = json.loads(path.read_text(encoding="utf-8"))["fingerprint"] if path.is_file() else ""
        if made != job.input_fingerprints[name]:
            what = _how_other(job, folder) if made else "is not there"
            raise PhaseError(f"{job.out.name} of {job.dataset} needs {name}, which {what} ({folder}); run {name} first")


def _how_other(job: Job, folder: Path) -> str:
    """Masks that changed after training are named: whoever changed them must know that they are fixed before it."""
    said = json.loads((folder / "job.json").read_text(encoding="utf-8")).get("weights", {})
    changed = [name for name in MASKED_BY if said.get(name) != job.weights[name]]
    if changed:
        return f"was trained before {' and '.join(changed)} became what it is now; masks are fixed before training"
    return "was made from other inputs or code"


def _clear_other(job: Job) -> None:
    """Empty the folder of a result made from other inputs; MLflow keeps that one. One that was cut short goes on."""
    path = job.out / "job.json"
    if not path.is_file():
        return
    from orchestration.jobs import JobError, read

    try:
        same = read(path).fingerprint == job.fingerprint
    except JobError:
        same = False
    if not same:
        shutil.rmtree(job.out)


def reported(
    context: dg.AssetExecutionContext,
    job: Job,
    result: Mapping[str, Any],
    made: bool,
    more: Mapping[str, Any],
    checks: Sequence[dg.AssetCheckResult] = (),
) -> dg.MaterializeResult:
    """What Dagster is told of a job that is done."""
    numbers = {name: value for name, value in result.get("numbers", {}).items() if isinstance(value, int | float)}
    pictures = {Path(name).stem: picture(Path(name)) for name in result.get("pictures", [])}
    spent = budget.mirror(Home(job.home), context.log) if made else None
    return dg.MaterializeResult(
        data_version=dg.DataVersion(job.fingerprint[:32]),
        metadata={
            **numbers,
            **pictures,
            **({"budget": picture(spent)} if spent else {}),
            **more,
            "made_now": dg.MetadataValue.bool(made),
            "worker_seconds": dg.MetadataValue.float(result.get("worker_seconds", 0.0)),
            "path": dg.MetadataValue.path(str(job.out)),
            "mlflow_runs": dg.MetadataValue.json(result.get("runs", {})),
            "data_version": job.data_version,
            "code_commit": job.code_commit,
            "standins": dg.MetadataValue.bool(job.profile.standins),
        },
        check_results=checks,
    )


def picture(path: Path) -> dg.MetadataValue:
    """A PNG inside the metadata itself, so that the UI needs no file server."""
    import base64

    return dg.MetadataValue.md(f"![{path.stem}](data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()})")


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
