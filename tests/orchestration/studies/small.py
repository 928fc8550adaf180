"""A home of a few generated clips with the shipped stand-ins' features: what a study's cells read, in seconds."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestration.home import Home
from orchestration.jobs import Job
from orchestration.profile import load
from orchestration.studies.study import Bench, Cell, Measured

DATASET = "moving_shapes"


def home(folder: Path, train: int, heldout: int) -> Home:
    """Clips of 9 frames of 64 px, and their tokens and latents; DINOv2's pass for real ones."""
    from models.data.features import extract
    from models.data.generated import write_dataset
    from models.data.shards import ClipShards, build_shards
    from models.encoders.stored import latents_of, tokens_of
    from orchestration.data.workspace import repository_params
    from orchestration.stages.inputs import Inputs
    from orchestration.stages.tokens import FOLDERS, expected

    made, params = Home(folder), repository_params()
    workspace, inputs = made.workspace(DATASET), Inputs(job(made))
    write_dataset(workspace / "data", train, heldout, 7, frames=9, size=64)
    build_shards(workspace / "data", workspace / "shards", frames=9, size=64)
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    shards = ClipShards(workspace / "shards")
    encoders = {name: inputs.encoder(name, stride=params[name].get("stride", 1)) for name in ("dinov2", "qwen")}
    networks = {**{name: tokens_of(one) for name, one in encoders.items()}, "latents": latents_of(inputs.vae)}
    for stage, encode in networks.items():
        named: dict[str, Any] = {"name": stage, "fingerprint": expected(stage, params[stage])}
        where, standin = workspace / FOLDERS[stage], stage != "dinov2"
        extract(shards, where, encode, weights_sha256="0", standin=standin, **named)
    return made


def job(home: Home, inputs: Mapping[str, Path] | None = None) -> Job:
    """A job of a study on it."""
    return Job(
        stage="c2",
        phase=2,
        dataset=DATASET,
        home=home.root,
        workspace=home.workspace(DATASET),
        out=home.root / "out",
        profile=load("laptop"),
        data_versions={},
        weights={},
        inputs=dict(inputs or {}),
        code_commit="none",
    )


def bench(given: Job, folder: Path, cell: Cell, measured: Mapping[str, Measured], sizes: Any) -> Bench:
    """What a cell is measured with; the cells' own folders lie in `folder`."""
    from orchestration.stages.inputs import Inputs

    return Bench(
        job=given,
        inputs=Inputs(given),
        sizes=sizes,
        seed=0,
        folder=folder / cell.name,
        measured={name: measured[name] for name in cell.after if name in measured},
        folder_of=lambda name: folder / name,
        reporter=lambda *_: None,
        left=lambda: math.inf,
    )
