"""What a phase's checkpoints make of held-out clips: the frames of every arm and of every baseline (design §4.13).

Two baselines of Phase 2 are the hybrid itself with a stream absent (§2.1): that stream's learned null is in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.evaluation.baselines import copy_last, mean_frame, shuffled
from models.training.data import TrainingData
from models.training.generator import Adapted, load_generator
from models.training.recipe import load_fusion
from models.training.reconstruct import Conditionings, conditionings, decode
from orchestration.documents import ABSENT
from orchestration.jobs import Job
from orchestration.stages.inputs import Inputs
from orchestration.stages.training import ARMS, checkpoint

MAIN = {1: "dino_only", 2: "hybrid", 3: "hybrid"}


@dataclass(frozen=True)
class Made:
    """What was generated for the same clips: uint8 [N, T, H, W, 3] by arm and by baseline."""

    arms: dict[str, np.ndarray]
    baselines: dict[str, np.ndarray]
    conditioning: dict[str, Conditionings] = field(default_factory=dict)
    """Of every arm, and of the hybrid with a stream absent."""
    adapted: Adapted | None = None
    """Of Phase 3's generator."""


def arm_checkpoints(job: Job) -> dict[str, Path]:
    """The checkpoint of every arm of the phase."""
    folder = job.inputs[f"phase{job.phase}"]
    arms = ARMS if job.phase == 2 else (MAIN[job.phase],)
    return {arm: checkpoint(folder, arm) for arm in arms}


def generate(job: Job, inputs: Inputs, data: TrainingData, ids: Sequence[str], reporter: Any) -> Made:
    """Every arm's and every baseline's clips."""
    size, device = job.profile.evaluation.batch, job.profile.device
    true, found, made, adapted = inputs.shards.frames(ids), {}, {}, None
    checkpoints = arm_checkpoints(job)
    for done, (arm, path) in enumerate(checkpoints.items()):
        fusion = load_fusion(path).to(device)
        if job.phase == 3:
            adapted = load_generator(path, inputs.generator)
        # To draw these sets too would add nearly half to Phase 3's evaluation (ADR 8).
        for name, shown in {arm: arm, **(ABSENT if job.phase == 2 and arm == "hybrid" else {})}.items():
            found[name] = conditionings(fusion, data, ids, shown, batch=size)
            latents = found[name].latents
            if adapted is not None:
                latents = sample(job, inputs, adapted, latents, found[name].semantic)
            made[name] = decode(inputs.vae, latents, batch=size, device=device)
        reporter(f"clips of {arm}", done + 1, len(checkpoints), {})
    truth = np.asarray(data.latents(ids), np.float32)
    baselines = {
        **{name: made.pop(name) for name in ABSENT if name in made},
        "copy_last": copy_last(true),
        "mean_frame": mean_frame(true),
        "vae_roundtrip": decode(inputs.vae, truth, batch=size, device=device),
    }
    if len(ids) > 1:
        baselines["shuffled"] = shuffled(made[MAIN[job.phase]], job.profile.evaluation.seed)
    if job.phase == 3:
        from models.decoder.image_to_video import from_first_frame

        plain = Inputs(job)  # with a generator that has no adapters
        given = {"steps": job.profile.evaluation.sampling_steps, "seed": job.profile.evaluation.seed, "batch": size}
        drawn = from_first_frame(plain.generator, plain.text(), plain.captions(ids), truth[:, :, :1], **given)
        baselines["ltx_i2v"] = decode(inputs.vae, drawn, batch=size, device=device)
    reporter("clips of the baselines", 1, 1, {})
    return Made(made, baselines, found, adapted)


def sample(job: Job, inputs: Inputs, adapted: Adapted, where: np.ndarray, what: np.ndarray) -> np.ndarray:
    """Latents drawn by the generator, conditioned by the routes it was trained with; the same noise for every call."""
    from models.decoder.conditions import by_route
    from models.decoder.sampling import SamplingConfig
    from models.decoder.sampling import sample as draw

    settings, device, parts = job.profile.evaluation, job.profile.device, []
    noise, null = torch.Generator().manual_seed(settings.seed), adapted.null.to(device)
    config = SamplingConfig(settings.sampling_steps, settings.guidance_scale, settings.strength)
    for start in range(0, len(where), settings.batch):
        latents = inputs.generator.pack(torch.from_numpy(where[start : start + settings.batch]).to(device))
        semantic = torch.from_numpy(what[start : start + settings.batch]).to(device)
        parts.append(draw(inputs.generator, by_route(adapted.routes, latents, semantic, null), config, noise))
    return torch.cat(parts).float().cpu().numpy()
