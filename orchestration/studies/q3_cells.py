"""What Q3's cells measure: the change in time of stored tokens, of true and decoded clips, and of what LTX draws."""

from typing import Any

import numpy as np

from models.decoder.image_to_video import from_first_frame
from models.evaluation.evaluate import Reference
from models.evaluation.lpips import Lpips
from models.evaluation.temporal import dynamic_degree
from models.studies.flicker import Still, change, dtssd, token_change
from models.training.generator import load_generator
from models.training.recipe import load_fusion
from models.training.reconstruct import conditionings, decode
from models.training.stores import training_data
from orchestration.documents import ABSENT
from orchestration.jobs import Job
from orchestration.stages.generation import sample
from orchestration.stages.inputs import Inputs
from orchestration.stages.training import checkpoint
from orchestration.studies.q3 import FEATURES
from orchestration.studies.study import Bench, Cell, Measured

Settings = dict[str, Any]
STREAMS = ("dinov2", "qwen")
SHOWN = {"hybrid": ("phase3", "hybrid"), "without_spatial": ("phase3", ABSENT["without_spatial"])}
SHOWN |= {"vlm_only": ("phase2", "vlm_only")}
"""Of an arm whose fusion conditions LTX: whose fusion, and which tokens it is shown. The adapters are Phase 3's."""


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell."""
    settings: Settings = dict(cell.settings)
    ids = bench.inputs.ids("heldout")[: settings["clips"]]
    true = bench.inputs.shards.frames(ids)
    still = Still(**settings["still"]).places(true)
    if settings["kind"] == FEATURES:
        return _features(bench.inputs, ids, still)
    made, standin = _reference(settings, bench.inputs, ids, true), bench.inputs.store("latents").store.standin
    if made is None:
        made, standin = _drawn(settings, bench.inputs.job, ids), bench.inputs.job.profile.standins
    return {"standin": standin, **_in_time(true, made, still, ids)}


def _features(inputs: Inputs, ids: list[str], still: np.ndarray) -> Measured:
    """Of each stored stream."""
    found, stores = {}, {name: inputs.store(name) for name in STREAMS}
    for name, store in stores.items():
        changed = token_change(store.read(ids), still)
        found |= {f"{name}_{measure}": values for measure, values in vars(changed).items()}
    standin = any(store.store.standin for store in stores.values())
    return {"standin": standin, "by_clip": _by_clip(ids, found), "numbers": _means(found)}


def _reference(settings: Settings, inputs: Inputs, ids: list[str], true: np.ndarray) -> np.ndarray | None:
    """The true clips, or what the VAE makes of them; None where the cell is an arm's."""
    if settings["of"] == "true":
        return true
    if settings["of"] != "vae_roundtrip":
        return None
    latents = inputs.store("latents").read(ids, "latents")
    return decode(inputs.vae, latents, batch=settings["batch"], device=inputs.job.profile.device)


def _drawn(settings: Settings, job: Job, ids: list[str]) -> np.ndarray:
    """What LTX draws of an arm under the cell's seed."""
    evaluation = job.profile.evaluation.model_copy(update={"seed": settings["seed"], "batch": settings["batch"]})
    seeded = job.model_copy(update={"profile": job.profile.model_copy(update={"evaluation": evaluation})})
    inputs = Inputs(seeded)  # with a generator that has no adapters yet
    if settings["of"] == "uninjected":
        first, captions = inputs.store("latents").read(ids, "latents")[:, :, :1], inputs.captions(ids)
        given = {"steps": evaluation.sampling_steps, "seed": evaluation.seed, "batch": evaluation.batch}
        latents = from_first_frame(inputs.generator, inputs.text(), captions, first, **given)
    else:
        latents = _injected(settings, seeded, inputs, ids)
    return decode(inputs.vae, latents, batch=settings["batch"], device=job.profile.device)


def _injected(settings: Settings, job: Job, inputs: Inputs, ids: list[str]) -> np.ndarray:
    phase, shown = SHOWN[settings["of"]]
    fusion = load_fusion(checkpoint(job.inputs[phase], shown if phase == "phase2" else "hybrid"))
    adapted = load_generator(checkpoint(job.inputs["phase3"], "hybrid"), inputs.generator)
    latents, spatial, semantic = (inputs.store(name) for name in ("latents", *STREAMS))
    data = training_data(inputs.shards, ids, ids, latents=latents, spatial=spatial, semantic=semantic)
    made = conditionings(fusion.to(job.profile.device), data, ids, shown, batch=settings["batch"])
    return sample(job, inputs, adapted, made.latents, made.semantic)


def _in_time(true: np.ndarray, made: np.ndarray, still: np.ndarray, ids: list[str]) -> dict[str, Any]:
    """Every measure of clips in time, by clip, and flicker by step."""
    steps = change(made, still)
    seen = Reference(true, Lpips("alex")).perceptual(made)
    found = {
        "flicker": steps.mean(1),
        "motion": change(made, ~still).mean(1),
        "dtssd": dtssd(true, made),
        "dynamic_degree": dynamic_degree(made),
        "still_share": still.mean((1, 2)),
        "lpips": seen["lpips"],
        "temporal_lpips_variance": seen["temporal_lpips_variance"],
    }
    by_step = [float(np.nanmean(step)) if np.isfinite(step).any() else None for step in steps.T]
    return {"by_clip": _by_clip(ids, found), "by_step": {"flicker": by_step}, "numbers": _means(found)}


def _by_clip(ids: list[str], found: dict[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    return {
        name: {clip: float(value) if np.isfinite(value) else None for clip, value in zip(ids, values, strict=True)}
        for name, values in found.items()
    }


def _means(found: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(np.nanmean(values)) for name, values in found.items() if np.isfinite(values).any()}
