"""A home with a few generated clips and a predictor trained for a step, by the stage's own parts on the stand-ins."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from orchestration.home import Home
from orchestration.jobs import PREDICTOR, RESULT, Job
from orchestration.profile import Predicting, load

DATASET = "moving_shapes"
HELD_OUT = 16
"""As few as a calibration takes."""


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Home:
    from models.data.features import extract
    from models.data.generated import write_dataset
    from models.data.shards import ClipShards, build_shards
    from models.decoder.vae import LTXVae
    from models.encoders.stored import latents_of, tokens_of
    from orchestration.data.workspace import repository_params
    from orchestration.stages.inputs import Inputs
    from orchestration.stages.tokens import FOLDERS, expected

    home, profile = Home(tmp_path_factory.mktemp("home")), load("laptop")
    workspace = home.workspace(DATASET)
    write_dataset(workspace / "data", 4, HELD_OUT, 7, frames=9, size=64)
    build_shards(workspace / "data", workspace / "shards", frames=9, size=64)
    params, shards = repository_params(), ClipShards(workspace / "shards")
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    inputs = Inputs(_job(home))
    encoders = {
        name: tokens_of(inputs.encoder(name, stride=params[name].get("stride", 1))) for name in ("dinov2", "qwen")
    }
    networks = {**encoders, "latents": latents_of(LTXVae.load(profile.weights.folder("vae")))}
    for stage, encode in networks.items():
        mark = expected(stage, params[stage])
        extract(
            shards, workspace / FOLDERS[stage], encode, name=stage, fingerprint=mark, weights_sha256="0", standin=True
        )  # fmt: skip
    _train(home)
    return home


def _job(home: Home) -> Job:
    profile = load("laptop")
    few = profile.prediction.model_copy(update={"clips": HELD_OUT})
    profile = profile.model_copy(update={"prediction": Predicting.model_validate(few.model_dump())})
    return Job(
        stage=PREDICTOR,
        phase=3,
        dataset=DATASET,
        home=home.root,
        workspace=home.workspace(DATASET),
        out=home.run(DATASET, PREDICTOR),
        profile=profile,
        data_versions={"shards": "aa"},
        weights={name: profile.weights.sha256(name) for name in ("dinov2", "qwen", "vae", "ltx")},
        code_commit="none",
    )


def _train(home: Home) -> None:
    """Phase 3 and a predictor of a step each, as their assets leave them."""
    from models.training import phase3, prediction
    from models.training.config import LoopConfig
    from models.training.objective import ObjectiveConfig
    from models.training.phase2 import Phase2Config
    from models.training.phase2 import run as phase2
    from orchestration.prediction.verification import independent
    from orchestration.stages.inputs import Inputs
    from orchestration.stages.prediction import ContextInputs, judge

    job, loop = _job(home), LoopConfig(steps=1, batch=2, warmup=0)
    inputs = ContextInputs(job)
    data = inputs.training(inputs.ids("train"), inputs.ids("heldout"), captions=True)
    fusion = replace(inputs.fusion(), dim=80)
    begun = phase2(Phase2Config(fusion, "hybrid", loop, ObjectiveConfig(pixel_every=0)), data, home.root / "begun")
    third = phase3.Phase3Config(fusion, loop, lora_rank=2)
    before = phase3.run(third, data, home.root / "before", generator=Inputs(job).generator, start=begun.checkpoint)
    config = prediction.PredictionConfig(fusion, loop, lora_rank=2, horizon=inputs.horizon)
    context = inputs.data(lambda *_: None)
    made = prediction.run(config, context, job.out, generator=inputs.generator, start=before.checkpoint)
    with pytest.MonkeyPatch.context() as patched:
        # MobileSAM would take a minute
        patched.setattr("orchestration.stages.prediction.independent", lambda job: independent(job, ("lpips_vgg",)))
        judge(inputs, context, made.checkpoint, lambda *_: None)
    # as the home lies elsewhere later: what reads it must not look where it was trained
    moved = job.model_copy(update={"home": Path("/moved"), "workspace": Path("/moved"), "out": Path("/moved")})
    result = {
        "checkpoints": {"hybrid": str(made.checkpoint.relative_to(job.out))},
        "runs": {"hybrid": "run-hybrid"},
        "fingerprint": job.fingerprint,
    }
    (job.out / "job.json").write_text(moved.model_dump_json(by_alias=True))
    (job.out / RESULT).write_text(json.dumps(result))
