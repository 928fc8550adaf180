"""The cells that C3 and Q5 share: tokens of the context alone, predictions in latent space, and what they are worth.

A predictor here is a fusion alone: Phase 2's recipe without decoded pixels, from the seed's weights, on tokens of the
context frames. It has to give the latents of whole clips; what it gives of the future is its prediction.
"""

import dataclasses
from typing import Any

import numpy as np
import torch

from models.fusion.base import Fusion
from models.studies.foretold import DirectionReader, moves, step_errors, step_ious, told
from models.training.data import TrainingData
from models.training.horizon import copied, extrapolated
from models.training.prediction import at_full_length
from models.training.recipe import new_fusion
from models.training.reconstruct import Conditionings, conditionings, decode
from orchestration.jobs import Job
from orchestration.stages.measures import directions, segmenter
from orchestration.stages.prediction import ContextInputs
from orchestration.studies.foretold import CEILING, context_name
from orchestration.studies.short import TEXTS
from orchestration.studies.study import Bench, Cell, Measured
from orchestration.studies.trainings import Settings, by_clip, keep_captions, kept_captions, pace, train_fusion


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell of either study.

    Raises:
        HorizonError: a context that does not fit the clips or the VAE.
        ShardError, FeatureError, CheckpointError: what it needs is not there, or not as it was written.
    """
    settings: Settings = dict(cell.settings)
    kinds = {TEXTS: keep_captions, "context": _context, "baseline": _baseline, "trained": _trained}
    return kinds[settings["kind"]](settings, bench)


def _inputs(settings: Settings, bench: Bench) -> ContextInputs:
    """Inputs whose encoders saw so many frames; their tokens lie in the folder of the context's cell."""
    frames = settings["context"]
    prediction = bench.job.profile.prediction.model_copy(update={"context_frames": frames})
    profile = bench.job.profile.model_copy(update={"prediction": prediction})
    out = bench.folder_of(context_name(frames))
    return ContextInputs(bench.job.model_copy(update={"profile": profile, "out": out}))


def _context(settings: Settings, bench: Bench) -> Measured:
    inputs = _inputs(settings, bench)
    inputs.data(bench.reporter)
    horizon = inputs.horizon
    return {
        "standin": _standin(inputs.job, inputs),
        "numbers": {
            "known": horizon.known,
            "ahead": horizon.latent_frames - horizon.known,
            "frames_a_step": horizon.step,
        },
    }


def _baseline(settings: Settings, bench: Bench) -> Measured:
    inputs = _inputs(settings, bench)
    data = _data(settings, inputs, bench)
    true, known = torch.from_numpy(_latents(data, data.held_out)), inputs.horizon.known
    made = {"still": copied, "line": extrapolated, "mean": lambda latents, _: torch.zeros_like(latents)}
    made[CEILING] = lambda latents, _: latents
    return _judged(inputs, data, made[settings["baseline"]](true, known).numpy(), {}, {})


def _trained(settings: Settings, bench: Bench) -> Measured:
    inputs = _inputs(settings, bench)
    data, arm = _data(settings, inputs, bench), settings["arm"]
    config = inputs.fusion()
    whole = at_full_length(data, config)
    fusion, result = train_fusion(settings, bench, config, whole, arm)
    before = new_fusion(config, whole, arm, settings["seed"], bench.job.profile.device)
    made, held = _told(fusion, whole, arm, settings["batch"], inputs)
    _, held_before = _told(before, whole, arm, settings["batch"], inputs)
    read = {"told": held, "told_before": held_before}
    return _judged(inputs, data, made.latents, pace(result), read)


def _told(
    fusion: Fusion, data: TrainingData, arm: str, batch: int, inputs: ContextInputs
) -> tuple[Conditionings, np.ndarray]:
    """The conditionings of the held-out clips, and whether a probe reads the direction of each step from them."""
    heldout, train = list(data.held_out), list(data.ids)
    made, seen = (conditionings(fusion, data, ids, arm, batch=batch) for ids in (heldout, train))
    shown, fitted = (told(one, fusion.config.latent_grid, inputs.horizon) for one in (made, seen))
    reader = DirectionReader.fit(fitted, directions(inputs, train), inputs.horizon)
    return made, reader.read(shown, directions(inputs, heldout))[0]


def _data(settings: Settings, inputs: ContextInputs, bench: Bench) -> TrainingData:
    """The first clips of each split, with their captions, which what is trained learns to tell."""
    data = inputs.data(bench.reporter)
    train, heldout = data.ids[: settings["train"]], data.held_out[: settings["heldout"]]
    return dataclasses.replace(data, ids=train, held_out=heldout, captions=kept_captions(bench, [*train, *heldout]))


def _judged(
    inputs: ContextInputs,
    data: TrainingData,
    made: np.ndarray,
    numbers: dict[str, float],
    read: dict[str, np.ndarray],
) -> Measured:
    """Of predicted latents [N, C, T', h, w] of the held-out clips; the context's own are put in their place.

    Args:
        read: what else was read of each step, by name, [N, T' - known].
    """
    horizon, ids = inputs.horizon, list(data.held_out)
    true, known = _latents(data, ids), inputs.horizon.known
    predicted = np.concatenate([true[:, :, :known], made[:, :, known:]], axis=2)
    reader = DirectionReader.fit(moves(_latents(data, data.ids), horizon), directions(inputs, data.ids), horizon)
    right, null = reader.read(moves(predicted, horizon), directions(inputs, ids))
    found = {"latent": step_errors(predicted, true, known), "direction": right, "direction_null": null, **read}
    network = segmenter(inputs.job, inputs, ids)
    if network is not None:
        frames = decode(
            inputs.vae, predicted, batch=inputs.job.profile.evaluation.batch, device=inputs.job.profile.device
        )
        found["iou"] = step_ious(network.masks(frames), inputs.shards.masks(ids), horizon)
    by_step = {f"{name}_{k + 1}": values[:, k] for name, values in found.items() for k in range(values.shape[1])}
    means = {name: values.mean(1) for name, values in found.items()}
    return {"standin": _standin(inputs.job, inputs), "by_clip": by_clip(ids, means | by_step), "numbers": numbers}


def _latents(data: TrainingData, ids: Any) -> np.ndarray:
    return np.asarray(data.latents(list(ids)), np.float32)


def _standin(job: Job, inputs: ContextInputs) -> bool:
    return job.profile.standins or any(inputs.store(name).store.standin for name in ("latents", "dinov2", "qwen"))
