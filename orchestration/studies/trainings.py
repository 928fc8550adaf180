"""What cells of short trainings share: their clips and captions, Phase 2's recipe without pixels, values by clip."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from models.data import write_durably
from models.fusion.base import Fusion
from models.fusion.config import FusionConfig
from models.training import phase2
from models.training.config import LoopConfig
from models.training.data import Reader, TrainingData
from models.training.loop import TrainResult
from models.training.objective import ObjectiveConfig
from models.training.recipe import load_fusion
from models.training.stores import training_data
from orchestration.profile import Training
from orchestration.stages.inputs import Inputs
from orchestration.stages.recipes import loop_of
from orchestration.studies.short import TEXTS
from orchestration.studies.study import Bench, Measured

CAPTIONS_FILE = "captions.safetensors"
NEVER = 10**9
"""Steps between looks at held-out clips while a cell trains: it is judged once, at its end."""
Settings = dict[str, Any]


def clips(settings: Settings, inputs: Inputs) -> tuple[list[str], list[str]]:
    """The first clips to train on, and the first held-out ones."""
    return inputs.ids("train")[: settings["train"]], inputs.ids("heldout")[: settings["heldout"]]


def keep_captions(settings: Settings, bench: Bench) -> Measured:
    """The text encoder's pooled captions, which caption tokens learn, into the cell's folder.

    Raises:
        ShardError, FeatureError: a byte of what the trainings will read is not as it was written.
    """
    train, heldout = clips(settings, bench.inputs)
    read = bench.inputs.training(train, heldout, captions=True).captions
    assert read is not None
    bench.folder.mkdir(parents=True, exist_ok=True)
    write_durably(bench.folder / CAPTIONS_FILE, save({"captions": read([*train, *heldout])}))
    standin = bench.inputs.store("latents").store.standin
    return {"standin": standin, "numbers": {"train": len(train), "heldout": len(heldout)}}


def kept_captions(bench: Bench, kept: Sequence[str]) -> Reader:
    """A reader of what `keep_captions` left of these clips, in its order."""
    table = load_file(bench.folder_of(TEXTS) / CAPTIONS_FILE)["captions"]
    places = {clip: row for row, clip in enumerate(kept)}
    return lambda ids: table[[places[clip] for clip in ids]]


def stored(settings: Settings, bench: Bench) -> TrainingData:
    """All that a training reads, from the stores and the captions' cell."""
    inputs, (train, heldout) = bench.inputs, clips(settings, bench.inputs)
    return training_data(
        inputs.shards,
        train,
        heldout,
        latents=inputs.store("latents"),
        spatial=inputs.store("dinov2"),
        semantic=inputs.store("qwen"),
        captions=kept_captions(bench, [*train, *heldout]),
    )


def train_fusion(
    settings: Settings, bench: Bench, config: FusionConfig, data: TrainingData, arm: str = "hybrid"
) -> tuple[Fusion, TrainResult]:
    """Phase 2's objective without its decoded pixels, in the cell's folder; it goes on at its last checkpoint.

    Returns the fusion, on the device of the profile, and how its training went.

    Raises:
        OutOfTime: the study's time was up; what was done is in a checkpoint.
    """
    recipe = phase2.Phase2Config(
        fusion=config,
        arm=arm,  # pyright: ignore[reportArgumentType]
        loop=loop_of_cell(settings, bench.inputs),
        objective=ObjectiveConfig(pixel_every=0),
        heldout_every=NEVER,
        interference_every=0,
    )
    result = phase2.run(recipe, data, bench.folder, bench.reporter, left=bench.left)
    return load_fusion(result.checkpoint).to(bench.job.profile.device), result


def loop_of_cell(settings: Settings, inputs: Inputs) -> LoopConfig:
    """The loop of a cell's short training, by the cell's seed."""
    numbers = dict(settings["training"])
    warmup = numbers.pop("warmup")
    loop = loop_of(inputs.job.profile, Training(**numbers, seed=settings["seed"]))
    return dataclasses.replace(loop, warmup=warmup)


def pace(result: TrainResult) -> dict[str, float]:
    """Seconds a step and the last loss of a training."""
    return {"seconds_per_step": result.seconds / result.steps, "last_loss": result.losses[-1]}


def by_clip(ids: list[str], found: dict[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    """Values [n] of the first n clips, by measure and clip; what is undefined is null."""
    return {
        name: {clip: float(value) if np.isfinite(value) else None for clip, value in zip(ids, values, strict=False)}
        for name, values in found.items()
    }
