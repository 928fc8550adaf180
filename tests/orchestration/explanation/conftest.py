"""A home with a few generated clips, their tokens by the shipped stand-ins, and phases trained for a step."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from orchestration.home import Home
from orchestration.jobs import RESULT, Job
from orchestration.profile import load

DATASET = "moving_shapes"


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Home:
    from models.data.features import extract
    from models.data.generated import write_dataset
    from models.data.shards import ClipShards, build_shards
    from models.encoders.registry import load_encoder
    from models.encoders.stored import tokens_of
    from orchestration.data.workspace import repository_params
    from orchestration.stages.tokens import FOLDERS, expected

    home, profile = Home(tmp_path_factory.mktemp("home")), load("laptop")
    workspace = home.workspace(DATASET)
    write_dataset(workspace / "data", 4, 2, 7, frames=9, size=64)
    build_shards(workspace / "data", workspace / "shards", frames=9, size=64)
    params, shards = repository_params(), ClipShards(workspace / "shards")
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    rng = np.random.default_rng(0)

    def latents(frames: np.ndarray) -> dict[str, np.ndarray]:
        return {"latents": rng.standard_normal((len(frames), 64, 5, 8, 8)).astype(np.float16)}

    encoders = {
        name: tokens_of(load_encoder(name, profile.weights.folder(name), stride=params[name].get("stride", 1)))
        for name in ("dinov2", "qwen")
    }
    for stage, encode in {"latents": latents, **encoders}.items():
        mark = expected(stage, params[stage])
        extract(
            shards, workspace / FOLDERS[stage], encode, name=stage, fingerprint=mark, weights_sha256="0", standin=True
        )
    _train(home, 2, {"hybrid": "qformer", "dino_only": "qformer"})
    _train(home, 3, {"hybrid": "concat"})
    return home


def _train(home: Home, phase: int, arms: dict[str, str]) -> None:
    """Arms of a fusion kind each, as a phase's asset leaves them."""
    from models.training.config import LoopConfig
    from models.training.objective import ObjectiveConfig
    from models.training.phase2 import Phase2Config, run
    from orchestration.stages.inputs import Inputs

    profile, folder = load("laptop"), home.run(DATASET, f"phase{phase}")
    job = Job(
        stage=f"phase{phase}",
        phase=phase,  # type: ignore[arg-type]
        dataset=DATASET,
        home=Path("/moved"),
        workspace=Path("/moved/data"),
        out=Path("/moved/runs"),
        profile=profile,
        data_versions={"shards": "aa"},
        weights={name: profile.weights.sha256(name) for name in ("dinov2", "qwen")},
        code_commit="none",
    )
    inputs = Inputs(job.model_copy(update={"workspace": home.workspace(DATASET)}))
    data = inputs.training(inputs.ids("train"), inputs.ids("heldout"), captions=False)
    fusion = inputs.fusion()
    shape = (fusion.semantic_queries, fusion.caption_channels)
    object.__setattr__(data, "captions", lambda ids: np.ones((len(ids), *shape), np.float32))
    result = {"checkpoints": {}, "runs": {}, "fingerprint": job.fingerprint}
    for arm, kind in arms.items():
        loop, latents = LoopConfig(steps=1, batch=1, warmup=0), ObjectiveConfig(pixel_every=0)
        config = Phase2Config(replace(fusion, kind=kind, dim=80), arm, loop, latents)  # type: ignore[arg-type]
        made = run(config, data, folder / "arms" / arm)
        result["checkpoints"][arm] = str(made.checkpoint.relative_to(folder))
        result["runs"][arm] = f"run-{arm}"
    (folder / "job.json").write_text(job.model_dump_json(by_alias=True))
    (folder / RESULT).write_text(json.dumps(result))
