"""The stages `phase1`, `phase2`, `phase3`: read the job, hand it to its recipe, record every step in MLflow."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration import tracking
from orchestration.budget.allowance import StoppedAtReservation, countdown, to_finish
from orchestration.jobs import RESULT, Job, read

ARMS = ("hybrid", "vlm_only", "dino_only")


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Train a phase; a run that was cut short goes on at its last checkpoint.

    Raises:
        StoppedAtReservation: its time was up; what was done is in a checkpoint.
    """
    given = read(job)
    left = _left(given)

    import torch

    from models.training.loop import OutOfTime

    if given.profile.threads:
        torch.set_num_threads(given.profile.threads)
    phase = {"phase1": _phase1, "phase2": _phase2, "phase3": _phase3}[stage]
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


def _phase1(job: Job, reporter: Any, parent: tracking.Run, left: Callable[[], float]) -> dict[str, Any]:
    from models.training import phase1

    inputs, data = _data(job, captions=False)
    config = phase1.Phase1Config(fusion=inputs.fusion(), loop=_loop(job))
    with tracking.steps(parent, reporter) as progress:
        seen_through = {"vae": inputs.vae, "perceptual": inputs.perceptual}
        result = phase1.run(config, data, job.out, progress, left=left, **seen_through)
    return _finish(job, parent, {"dino_only": parent}, {"dino_only": (job.out, result)})


def _phase2(job: Job, reporter: Any, parent: tracking.Run, left: Callable[[], float]) -> dict[str, Any]:
    from models.training import phase2

    inputs, data = _data(job, captions=True)
    start, fusion = checkpoint(job.inputs["phase1"]), inputs.fusion()
    runs, results = {}, {}
    for arm in ARMS:
        config = phase2.Phase2Config(fusion=fusion, arm=arm, loop=_loop(job))  # type: ignore[arg-type]
        out = job.out / "arms" / arm
        with tracking.child(job, arm) as run, tracking.steps(run, reporter) as progress:
            seen_through = {"vae": inputs.vae, "perceptual": inputs.perceptual}
            result = phase2.run(config, data, out, progress, left=left, start=start, **seen_through)
            run.file(result.checkpoint, "checkpoint")
        runs[arm], results[arm] = run, (out, result)
    return _finish(job, parent, runs, results)


def _phase3(job: Job, reporter: Any, parent: tracking.Run, left: Callable[[], float]) -> dict[str, Any]:
    from models.training import phase3

    inputs, data = _data(job, captions=True)
    config = phase3.Phase3Config(
        fusion=inputs.fusion(),
        loop=_loop(job),
        routes=job.profile.routes.opened(),
        lora_rank=job.profile.lora.rank,
        gradient_checkpointing=job.profile.lora.gradient_checkpointing,
    )
    start = checkpoint(job.inputs["phase2"], "hybrid")
    with tracking.steps(parent, reporter) as progress:
        result = phase3.run(config, data, job.out, progress, left=left, generator=inputs.generator, start=start)
    parent.file(job.out / phase3.LORA_FOLDER, phase3.LORA_FOLDER)
    return _finish(job, parent, {"hybrid": parent}, {"hybrid": (job.out, result)})


def _data(job: Job, *, captions: bool) -> tuple[Any, Any]:
    from orchestration.stages.inputs import Inputs

    inputs = Inputs(job)
    return inputs, inputs.training(inputs.ids("train"), inputs.ids("heldout"), captions=captions)


def _loop(job: Job) -> Any:
    from models.training.config import LoopConfig

    precision = "bf16" if job.profile.device == "cuda" else "fp32"
    recipe = job.profile.training(job.phase).model_dump()
    return LoopConfig(**recipe, device=job.profile.device, precision=precision, readers=job.profile.readers)


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
