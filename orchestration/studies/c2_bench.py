"""What the trainings of C2 share: the clips, their tokens and captions, the fusion's sizes, the loop."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from models.data import write_durably
from models.fusion.config import FusionConfig
from models.training.config import LoopConfig
from models.training.data import Reader, TrainingData
from models.training.stores import training_data
from orchestration.profile import Training
from orchestration.stages.inputs import Inputs
from orchestration.stages.recipes import loop_of
from orchestration.studies import c2_encoders
from orchestration.studies.c2 import STORED, TEXTS
from orchestration.studies.study import Bench, Measured

CAPTIONS_FILE = "captions.safetensors"
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


def training_of(settings: Settings, bench: Bench) -> TrainingData:
    """All that a training reads: from the stores, and from the folders of the cells it comes after."""
    inputs, spatial = bench.inputs, settings["spatial"]
    train, heldout = clips(settings, inputs)
    data = training_data(
        inputs.shards,
        train,
        heldout,
        latents=inputs.store("latents"),
        spatial=inputs.store("dinov2"),
        semantic=inputs.store("qwen"),
        captions=kept_captions(bench, [*train, *heldout]),
    )
    if spatial in STORED:
        return data
    tokens = c2_encoders.source(bench.folder_of(f"encoder-{spatial}"), [*train, *heldout])
    mark = str(bench.measured[f"encoder-{spatial}"]["weights_sha256"])
    return dataclasses.replace(data, spatial=tokens, fingerprints={**data.fingerprints, "spatial": mark})


def fusion_of(settings: Settings, inputs: Inputs, data: TrainingData) -> FusionConfig:
    """Widths and grids as the data has them; all else as the cell says, and nothing from the profile."""
    assert data.spatial is not None
    _, _, tokens, width = data.spatial.read(data.ids[:1]).shape
    side = round(tokens**0.5)
    base = {"kind": "qformer", "query_mode": "learned", "global_queries": False}
    given = {**base, **settings["fusion"], "spatial_dim": width, "spatial_grid": (side, side)}
    return dataclasses.replace(inputs.fusion(), **given)


def loop_of_cell(settings: Settings, inputs: Inputs) -> LoopConfig:
    """The loop of a cell's short training, by the cell's seed."""
    numbers = dict(settings["training"])
    warmup = numbers.pop("warmup")
    loop = loop_of(inputs.job.profile, Training(**numbers, seed=settings["seed"]))
    return dataclasses.replace(loop, warmup=warmup)


def standin(settings: Settings, bench: Bench) -> bool:
    """Whether anything that a cell's result rests on is a stand-in."""
    arm, spatial = settings["arm"], settings["spatial"]
    stores = ["latents", *(["qwen"] if arm != "dino_only" else [])]
    stores += ["dinov2"] if arm != "vlm_only" and spatial == "dinov2" else []
    made = spatial not in STORED and bool(bench.measured[f"encoder-{spatial}"]["standin"])
    return made or any(bench.inputs.store(name).store.standin for name in stores)


def by_clip(ids: list[str], found: dict[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    """Values [n] of the first n clips, by measure and clip; what is undefined is null."""
    return {
        name: {clip: float(value) if np.isfinite(value) else None for clip, value in zip(ids, values, strict=False)}
        for name, values in found.items()
    }
