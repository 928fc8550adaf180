"""C4's cells on a small home: futures from the context, verified by what had no part in them, on frames that came."""

from typing import Any, get_args

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.predict.differences import CircularityError
from orchestration.jobs import JobError
from orchestration.stages.prediction import ContextInputs
from orchestration.studies import c4, c4_cells, declaration
from orchestration.studies.study import Measured
from tests.orchestration.studies import small, trained

HELD_OUT = 4
PLAN = declaration.load("c4").planned
SIZES = c4.Sizes.model_validate(
    {"clips": HELD_OUT, "batch": 4, "seeds": [0], "networks": ["lpips_vgg"], "max_hours": 1}
)
WEIGHTS = dict.fromkeys(("dinov2", "qwen", "vae", "ltx"), "0")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> dict[str, Any]:
    """The job, the folder of the cells, and what each cell measured."""
    folder = tmp_path_factory.mktemp("c4")
    home = small.home(folder / "home", 4, HELD_OUT)
    given = small.job(home, trained.phases(home, folder, predictor=True)).model_copy(update={"weights": WEIGHTS})
    measured: dict[str, Measured] = {}
    for cell in c4.cells(PLAN, SIZES):
        bench = small.bench(given, folder / "cells", cell, measured, SIZES)
        bench.folder.mkdir(parents=True)
        measured[cell.name] = c4.measure(cell, bench)
    return {"job": given, "folder": folder / "cells", "measured": measured}


def test_every_candidate_has_every_score(world):
    names = {name for cell in world["measured"].values() for name in cell["by_clip"]}
    measures = ("iou", "semantic", "own_loss", PLAN.measure, "lpips_alex", "answer")
    assert {f"{one}/{measure}" for one in PLAN.candidates for measure in measures} <= names
    assert c4.analyse(PLAN, SIZES, world["measured"], 0).values["verified_accuracy"].n == HELD_OUT


def test_the_answer_is_not_among_the_frames_that_verify(world, tmp_path):
    """Other last frames change the control that peeks, and nothing of the verification."""
    kept = load_file(world["folder"] / "draws-0" / c4_cells.FUTURES)
    for frames in kept.values():
        frames[:, -1] = 255 - frames[:, -1] // 2
    again: dict[str, Measured] = {"draws-0": world["measured"]["draws-0"]}
    (tmp_path / "draws-0").mkdir()
    save_file(kept, tmp_path / "draws-0" / c4_cells.FUTURES)
    for cell in c4.cells(PLAN, SIZES)[1:]:
        again[cell.name] = c4.measure(cell, small.bench(world["job"], tmp_path, cell, again, SIZES))
    assert again["verified-0"]["by_clip"] == world["measured"]["verified-0"]["by_clip"]
    before, after = (one["circular-0"]["by_clip"] for one in (world["measured"], again))
    assert all(before[f"{name}/lpips_alex"] == after[f"{name}/lpips_alex"] for name in PLAN.candidates)
    assert any(before[f"{name}/answer"] != after[f"{name}/answer"] for name in PLAN.candidates)


def test_a_future_that_came_is_at_no_distance(world, tmp_path):
    kept = load_file(world["folder"] / "draws-0" / c4_cells.FUTURES)
    kept["fusion"] = kept["true"].copy()
    (tmp_path / "draws-0").mkdir()
    save_file(kept, tmp_path / "draws-0" / c4_cells.FUTURES)
    cell = c4.cells(PLAN, SIZES)[1]
    found = c4.measure(cell, small.bench(world["job"], tmp_path, cell, world["measured"], SIZES))["by_clip"]
    assert max(found[f"fusion/{PLAN.measure}"].values()) == pytest.approx(0, abs=1e-6)
    assert min(found[f"still/{PLAN.measure}"].values()) > 0.001


def test_a_network_that_trained_the_predictor_verifies_nothing(world, tmp_path):
    from models import weights

    spoilt = world["job"].model_copy(update={"weights": {**WEIGHTS, "vae": weights.sha256("lpips_vgg")}})
    cell = c4.cells(PLAN, SIZES)[1]
    bench = small.bench(spoilt, world["folder"], cell, world["measured"], SIZES)
    with pytest.raises(CircularityError, match="took part in the training"):
        c4.measure(cell, bench)


def test_a_network_that_says_what_is_right_verifies_nothing(world, tmp_path, monkeypatch):
    monkeypatch.setattr("models.data.shards.ClipShards.outlined", lambda *_: "boxes")
    sizes, cell = SIZES.model_copy(update={"networks": ["lpips_vgg", "mobile_sam"]}), c4.cells(PLAN, SIZES)[0]
    with pytest.raises(JobError, match="says what is right and may not verify"):
        c4.measure(cell, small.bench(world["job"], tmp_path, cell, {}, sizes))


def test_one_foretold_frame_leaves_nothing_to_verify_and_is_refused(world):
    horizon = ContextInputs(world["job"]).horizon
    assert c4_cells._arrived(horizon, 0.5) == 1
    assert c4_cells._arrived(type(horizon)(9, 1, 8), 0.5) == 4
    assert c4_cells._arrived(type(horizon)(9, 1, 8), 0.99) == 7
    with pytest.raises(JobError, match="two are needed"):
        c4_cells._arrived(type(horizon)(9, 8, 1), 0.5)


def test_every_way_to_foretell_may_be_declared():
    assert set(PLAN.candidates) <= set(get_args(c4.Candidate))
    assert np.unique(PLAN.candidates).size == len(PLAN.candidates)
