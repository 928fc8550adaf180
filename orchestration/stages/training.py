"""The stages of the phases and the predictor: read the job, hand it to its recipe, record every step in MLflow.

A profile that asks for several workers has each arm trained by them (`orchestration/parallel/training.py`).
"""

import json
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from orchestration import tracking
from orchestration.admission import admit
from orchestration.budget.allowance import StoppedAtReservation, countdown, to_finish
from orchestration.jobs import PREDICTOR, RESULT, Job

ARMS = ("hybrid", "vlm_only", "dino_only")


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Train a phase; a run that was cut short goes on at its last checkpoint.

    Raises:
        StoppedAtReservation: its time was up; what was done is in a checkpoint.
    """
    given = admit(job, stage)
    left = _left(given)

    from models.training.loop import OutOfTime

    phase = _predictor if stage == PREDICTOR else _arms if given.phase == 2 else _one
    with tracking.attempt(given) as parent:
        try:
            return phase(given, reporter, parent, left)
        except OutOfTime as error:
            raise StoppedAtReservation(str(error)) from error


def _left(job: Job) -> Callable[[], float]:
    """The seconds until the training must have ended, so that the worker ends within its reservation."""
    allowed = math.inf if job.allowed_s is None else job.allowed_s
    return countdown(allowed - to_finish(allowed))


def checkpoint(folder: Path, arm: str = "") -> Path:
    """The checkpoint that a finished phase names in its result."""
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return folder / result["checkpoints"][arm or next(iter(result["checkpoints"]))]


def _one(job: Job, reporter: Any, parent: tracking.Run, left: Callable[[], float]) -> dict[str, Any]:
    """Phases 1 and 3: one arm, recorded in the parent run."""
    arm = {1: "dino_only", 3: "hybrid"}[job.phase]
    with tracking.steps(parent, reporter) as progress:
        result = _trainer(job)(arm, job.out, progress, left)
    if job.phase == 3:
        from models.training.phase3 import LORA_FOLDER

        parent.file(job.out / LORA_FOLDER, LORA_FOLDER)
    return _finish(job, parent, {arm: parent}, {arm: (job.out, result)})


def _arms(job: Job, reporter: Any, parent: tracking.Run, left: Callable[[], float]) -> dict[str, Any]:
    """Phase 2: each arm in a run of its own."""
    runs, results, train = {}, {}, _trainer(job)
    for arm in ARMS:
        out = job.out / "arms" / arm
        with tracking.child(job, arm) as run, tracking.steps(run, reporter) as progress:
            result = train(arm, out, progress, left)
            run.file(result.checkpoint, "checkpoint")
        runs[arm], results[arm] = run, (out, result)
    return _finish(job, parent, runs, results)


def _trainer(job: Job) -> Callable[..., Any]:
    """What trains an arm: (arm, folder, progress, left) to its `TrainResult`."""
    if job.profile.workers.most == 1:
        from orchestration.stages.recipes import Recipe

        return Recipe(job).train
    from orchestration.dispatch.scratch import BUNDLE, laid_out
    from orchestration.parallel.training import same_disk, train

    bundle = os.environ.get(BUNDLE)
    return partial(train, job, settle=partial(laid_out, bundle) if bundle else same_disk)


def _predictor(job: Job, reporter: Any, parent: tracking.Run, left: Callable[[], float]) -> dict[str, Any]:
    """Goes on from Phase 3, on one machine; then its errors on held-out clips, and what will judge its predictions."""
    import torch

    from models.training import prediction
    from orchestration.stages.prediction import ContextInputs, judge
    from orchestration.stages.recipes import loop_of

    if job.profile.threads:
        torch.set_num_threads(job.profile.threads)
    inputs = ContextInputs(job)
    config = prediction.PredictionConfig(
        fusion=inputs.fusion(),
        loop=loop_of(job.profile, job.profile.prediction.training),
        routes=job.profile.routes.opened(),
        lora_rank=job.profile.lora.rank,
        gradient_checkpointing=job.profile.lora.gradient_checkpointing,
        horizon=inputs.horizon,
    )
    data, start = inputs.data(reporter), checkpoint(job.inputs["phase3"], "hybrid")
    with tracking.steps(parent, reporter) as progress:
        result = prediction.run(config, data, job.out, progress, left=left, generator=inputs.generator, start=start)
    parent.file(job.out / prediction.LORA_FOLDER, prediction.LORA_FOLDER)
    judged = judge(inputs, data, result.checkpoint, reporter)
    parent.numbers(judged)
    made = _finish(job, parent, {"hybrid": parent}, {"hybrid": (job.out, result)})
    return {**made, "numbers": {**made["numbers"], **judged}}


def _finish(job: Job, parent: tracking.Run, runs: dict[str, tracking.Run], results: dict[str, Any]) -> dict[str, Any]:
    """The figures, the last record, and the small result that Dagster is told."""
    if set(runs.values()) == {parent}:
        parent.file(next(iter(results.values()))[1].checkpoint, "checkpoint")
    losses = {arm: result.losses for arm, (_, result) in results.items()}
    numbers: dict[str, Callable[[Any], float]] = {
        "last_loss": lambda r: r.losses[-1],
        "train_seconds": lambda r: r.seconds,
        "steps_per_s": lambda r: r.steps / r.seconds,
    }
    said = {f"{arm}_{name}": value(result) for arm, (_, result) in results.items() for name, value in numbers.items()}
    parent.numbers(said)
    first = next(iter(results.values()))[1]
    histories = {arm: _history(folder) for arm, (folder, _) in results.items()}
    return {
        "checkpoints": {arm: str(result.checkpoint.relative_to(job.out)) for arm, (_, result) in results.items()},
        "runs": {arm: run.id for arm, run in runs.items()} | ({"parent": parent.id} if len(runs) > 1 else {}),
        "pictures": [str(_draw(job, parent, name, png)) for name, png in _figures(job, histories).items()],
        "numbers": {**said, "steps": first.steps, "trainable_parameters": first.trainable_parameters},
        "losses": {arm: values[:: max(1, len(values) // 100)] for arm, values in losses.items()},
    }


def _history(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]


def _figures(job: Job, histories: dict[str, list[dict[str, float]]]) -> dict[str, bytes]:
    """The losses by step; of Phase 2, if it was long enough to say, also how the streams' losses pull."""
    from orchestration.report.figures import interference_curve, loss_curve
    from orchestration.report.figures.interference import COSINE

    drawn = {"loss.png": loss_curve(histories)}
    if any(COSINE in row for history in histories.values() for row in history):
        drawn["interference.png"] = interference_curve(histories, gates_of="hybrid")
    return drawn


def _draw(job: Job, parent: tracking.Run, name: str, png: bytes) -> Path:
    path = job.out / "figures" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)
    parent.picture(name, png)
    return path
