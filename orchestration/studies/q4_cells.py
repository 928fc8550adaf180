"""What a cell of Q4 measures: Phase 2's recipe, without decoded pixels, on the first n of a seeded order of clips."""

import dataclasses
from pathlib import Path

import numpy as np

from models.evaluation.edges import edge_f1, thin_edges
from models.evaluation.iou import mask_iou
from models.evaluation.lpips import Lpips, clip_lpips
from models.studies.told import temporal_errors
from models.training.reconstruct import conditionings, decode
from orchestration.stages.inputs import Inputs
from orchestration.stages.measures import directions, segmenter
from orchestration.stages.tokens import FOLDERS
from orchestration.studies.study import Bench, Cell, Measured
from orchestration.studies.trainings import Settings, by_clip, keep_captions, pace, stored, train_fusion

STORED = ("shards", "dinov2", "qwen", "latents")


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; a training that was cut short goes on at its last checkpoint.

    Raises:
        ShardError, FeatureError, CheckpointError: what it needs is not there, or not as it was written.
    """
    settings: Settings = dict(cell.settings)
    if settings["kind"] == "trained":
        return _trained(settings, bench)
    kept = keep_captions(settings, bench)
    return {**kept, "numbers": {**kept["numbers"], **_stored(bench.inputs)}}


def subset(ids: list[str], clips: int, seed: int) -> list[str]:
    """The first clips of an order that the seed draws: those of a smaller number are among those of a larger one."""
    order = np.random.default_rng(seed).permutation(len(ids))
    return [ids[k] for k in order[:clips]]


def _trained(settings: Settings, bench: Bench) -> Measured:
    inputs = bench.inputs
    data = stored(settings, bench)
    data = dataclasses.replace(data, ids=subset(list(data.ids), settings["clips"], settings["seed"]))
    fusion, result = train_fusion(settings, bench, inputs.fusion(), data)
    device, batch, ids = inputs.job.profile.device, settings["batch"], list(data.held_out)
    made = conditionings(fusion, data, ids, "hybrid", batch=batch)
    frames, true = decode(inputs.vae, made.latents, batch=batch, device=device), inputs.shards.frames(ids)
    found = {
        "lpips": clip_lpips(Lpips("alex"), true, frames),
        "edge_f1": 1 - edge_f1(thin_edges(true), thin_edges(frames)),
    }
    network = segmenter(inputs.job, inputs, ids)
    if network is not None and inputs.shards.outlined(ids) == "masks":
        found["spatial_iou"] = 1 - mask_iou(inputs.shards.masks(ids), network.masks(frames))
    told = directions(inputs, data.ids), directions(inputs, ids)
    if all(any(pair is not None for pair in side) for side in told):
        seen = conditionings(fusion, data, list(data.ids), "hybrid", batch=batch)
        errors = temporal_errors(seen, made, fusion.config.latent_grid, told)
        found["temporal_ordering"] = errors["misordered"]
    standin = any(inputs.store(name).store.standin for name in ("latents", "dinov2", "qwen"))
    return {"standin": standin, "by_clip": by_clip(ids, found), "numbers": pace(result)}


def _stored(inputs: Inputs) -> dict[str, float]:
    """Bytes of a clip on disk, by stage, as they lie there."""
    workspace, clips = inputs.job.workspace, len(inputs.shards.ids())
    places = {"shards": workspace / "shards", **{name: workspace / FOLDERS[name] for name in STORED[1:]}}
    return {f"bytes_{name}": _size(place) / clips for name, place in places.items()}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
