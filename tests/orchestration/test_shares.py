"""The stream shares of an evaluation: of the sets that are made anyway, by region and layer, in Dagster's table."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.evaluation.attribution import attribute
from models.training import phase2
from models.training.objective import ObjectiveConfig
from models.training.recipe import load_fusion
from models.training.reconstruct import conditionings
from orchestration.documents import ABSENT
from orchestration.phase_stage import share_table
from orchestration.stages import shares
from orchestration.stages.evaluation import _key
from orchestration.stages.generation import Made
from tests.models.training import toy

LAYERS = tuple(f"layer {layer}, {output}" for layer in (1, 2) for output in ("cells", "captions"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Any:
    folder = tmp_path_factory.mktemp("phase2")
    config = phase2.Phase2Config(toy.FUSION, "hybrid", toy.loop(), ObjectiveConfig(pixel_every=0))
    result = phase2.run(config, toy.data(), folder / "hybrid")
    named = {arm: str(result.checkpoint.relative_to(folder)) for arm in ("hybrid", "vlm_only", "dino_only")}
    (folder / "result.json").write_text(json.dumps({"checkpoints": named}))
    settings = SimpleNamespace(batch=4, seed=0, resamples=200)
    job: Any = SimpleNamespace(phase=2, profile=SimpleNamespace(evaluation=settings, device="cpu"))
    job.inputs = {"phase2": folder}
    return job, load_fusion(result.checkpoint)


def measured(job: Any, fusion: Any, *, made: bool, masks: Any = None) -> shares.Shares:
    data = toy.data()
    arms = {"hybrid": "hybrid"} | (ABSENT if made else {})
    found = {name: conditionings(fusion, data, data.ids, arm) for name, arm in arms.items()}
    true = np.zeros((len(data.ids), 3, 8, 8, 3), np.uint8)
    return shares.measure(job, data, data.ids, Made({}, {}, found), true, masks)


def test_shares_are_the_fusions_own(trained):
    job, fusion = trained
    data, found = toy.data(), measured(job, fusion, made=True)
    own = attribute(fusion, data.spatial.tokens(data.ids), data.semantic.tokens(data.ids))
    assert own.whole is not None
    for output, values in own.whole.by_clip().items():
        assert found.rows[output]["value"] == pytest.approx(values.mean(), rel=1e-4)
        assert found.rows[output]["low"] < found.rows[output]["value"] < found.rows[output]["high"]
        assert found.rows[output]["n"] == len(data.ids)
    assert set(found.rows) == {"cells", "captions", *LAYERS, "attention"}
    assert all(png.startswith(b"\x89PNG") for png in found.figures.values())
    assert set(found.figures) == {"stream_share", "stream_layers", "attention"}


def test_a_phase_that_made_no_clip_without_a_stream_finds_the_same(trained):
    made, not_made = (measured(*trained, made=made) for made in (True, False))
    assert made.rows == not_made.rows


def test_objects_and_ground_are_told_apart_where_masks_say_which_is_which(trained):
    masks = np.zeros((10, 3, 8, 8), np.uint8)
    masks[:, :, :, :4] = 2
    found = measured(*trained, made=True, masks=masks).rows
    parts = [found[name]["value"] for name in ("cells on objects", "cells of the ground")]
    assert min(parts) < found["cells"]["value"] < max(parts)
    nothing = measured(*trained, made=True, masks=np.zeros_like(masks)).rows
    assert nothing["cells on objects"]["value"] is None
    assert nothing["cells of the ground"] == nothing["cells"]


def test_the_table_and_the_record_name_every_share(trained):
    rows = measured(*trained, made=True).rows
    table: Any = share_table(rows)["stream_shares"]
    assert [record.data["semantic stream's share of"] for record in table.records] == list(rows)
    assert rows["layer 1, cells"]["protocol"].endswith("in that layer only")
    assert share_table({}) == {}
    assert [_key(name) for name in ("cells on objects", "layer 1, cells")] == ["cells_on_objects", "layer_1/cells"]
