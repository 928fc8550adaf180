"""The router's cells on two arms of Phase 2: what each way scores and costs, and what the VLM's tokens tell of it."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from orchestration.home import Home
from orchestration.studies import router
from orchestration.studies.study import Measured
from tests.orchestration.studies import small

TRAIN, HELD_OUT = 20, 4
PLAN = router.Plan.model_validate({"margin": {"section": "6.2", "lpips": 0.03}, "shares": [0.5]})
SIZES = router.Sizes.model_validate({"train": TRAIN, "heldout": HELD_OUT, "batch": 8, "max_hours": 1})


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    return small.home(tmp_path_factory.mktemp("home"), TRAIN, HELD_OUT)


@pytest.fixture(scope="module")
def phase2(home, tmp_path_factory) -> Path:
    """Both arms after a step, as Phase 2 leaves them."""
    from models.training.config import LoopConfig
    from models.training.objective import ObjectiveConfig
    from models.training.phase2 import Phase2Config, run
    from orchestration.stages.inputs import Inputs

    folder, inputs = tmp_path_factory.mktemp("phase2"), Inputs(small.job(home))
    data = inputs.training(inputs.ids("train"), inputs.ids("heldout"), captions=True)
    checkpoints = {}
    for arm in router.ARMS:
        loop, latents = LoopConfig(steps=1, batch=2, warmup=0), ObjectiveConfig(pixel_every=0)
        config = Phase2Config(inputs.fusion(), arm=cast(Any, arm), loop=loop, objective=latents, interference_every=0)
        result = run(config, data, folder / "arms" / arm)
        checkpoints[arm] = str(result.checkpoint.relative_to(folder))
    (folder / "result.json").write_text(json.dumps({"checkpoints": checkpoints}))
    return folder


@pytest.fixture(scope="module")
def measured(home, phase2, tmp_path_factory) -> dict[str, Measured]:
    folder, given = tmp_path_factory.mktemp("cells"), small.job(home, {"phase2": phase2})
    found: dict[str, Measured] = {}
    for cell in router.cells(PLAN, SIZES):
        found[cell.name] = router.measure(cell, small.bench(given, folder, cell, found, SIZES))
    return found


def test_each_way_is_judged_on_train_and_held_out_clips(measured):
    for arm in router.ARMS:
        assert len(measured[arm]["by_clip"]["lpips"]) == TRAIN + HELD_OUT
    hybrid, alone = (list(measured[arm]["by_clip"]["lpips"].values()) for arm in router.ARMS)
    assert sum(hybrid) < sum(alone)


def test_the_vlm_alone_costs_an_encoder_less(measured):
    assert measured["vlm_only"]["numbers"]["flops"] < 0.6 * measured["hybrid"]["numbers"]["flops"]


def test_the_router_speaks_of_held_out_clips_alone(measured):
    expected = measured["router"]["by_clip"]["expected_gain"]
    every = list(measured["hybrid"]["by_clip"]["lpips"])
    assert list(expected) == every[TRAIN:]


def test_what_held_out_clips_gain_changes_nothing_of_what_is_expected(home, phase2, measured, tmp_path):
    spoilt: dict[str, Any] = json.loads(json.dumps(measured))
    for clip in spoilt["router"]["by_clip"]["expected_gain"]:
        spoilt["vlm_only"]["by_clip"]["lpips"][clip] = 9.0
    cell = router.cells(PLAN, SIZES)[-1]
    given = small.job(home, {"phase2": phase2})
    again = router.measure(cell, small.bench(given, tmp_path, cell, spoilt, SIZES))
    assert again["by_clip"] == measured["router"]["by_clip"]


def test_the_whole_is_analysed_as_declared(measured):
    values = router.analyse(PLAN, SIZES, measured, 0).values
    assert values["right"].n == HELD_OUT
    assert values["routed_less_hybrid_gflop"].value is not None
