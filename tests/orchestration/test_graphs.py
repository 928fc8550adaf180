"""dvc.yaml and the asset graph are one graph (design §3)."""

import dagster as dg
import pytest
import yaml

from orchestration.data.workspace import CLIPS_COMMAND, graph, stages
from orchestration.definitions import build
from orchestration.home import REPOSITORY, Home
from orchestration.worker import STAGES


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    return build(Home(tmp_path_factory.mktemp("home")), "laptop").resolve_asset_graph()


@pytest.mark.parametrize("dataset", ["moving_shapes", "real"])
def test_the_data_assets_have_the_edges_of_dvc_yaml(assets, dataset):
    declared = graph()
    found = {
        name: {parent.path[-1] for parent in assets.get(dg.AssetKey([dataset, name])).parent_keys} for name in declared
    }
    assert found == declared


def test_every_stage_goes_through_the_one_door():
    commands = {name: stage["cmd"] for name, stage in stages().items()} | {"clips": CLIPS_COMMAND}
    assert commands == {name: f"python -m orchestration.worker {name}" for name in commands}
    assert set(commands) <= set(STAGES)


def test_outs_stay_so_that_finished_clips_are_not_made_again():
    for stage in stages().values():
        for out in stage["outs"]:
            assert next(iter(out.values()))["persist"] is True


def test_every_parameter_that_a_stage_declares_exists():
    table = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    for stage in stages().values():
        for name in stage["params"]:
            value = table
            for part in name.split("."):
                assert part in value, f"params.yaml has no {name}"
                value = value[part]


@pytest.mark.parametrize(("stage", "standin"), [("dinov2", "dinov2"), ("qwen", "qwen"), ("latents", "vae")])
def test_params_name_the_weights_that_are_shipped(stage, standin):
    from models.provenance import folder_sha256
    from models.standins import shelf

    table = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    assert table[stage]["weights_sha256"] == folder_sha256(shelf.folder(standin))
