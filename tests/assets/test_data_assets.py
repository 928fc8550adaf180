"""Data assets: DVC's word is what counts, for whether something is made and for what its version is."""

import pytest

from orchestration import datasets
from orchestration.workspace import Workspace, repository_params

DATA = ("clips", "shards", "dinov2", "qwen", "latents")


def test_each_stage_is_dispatched_once_and_then_stands(materialize, workers):
    materialize(*DATA)
    assert sorted(workers.commands) == sorted(DATA)
    again = materialize(*DATA)
    assert len(workers.commands) == len(DATA)
    assert again.metadata["made_now"].value is False


def test_the_data_version_is_the_hash_of_dvc_lock(materialize, workers, home):
    made = materialize("clips", "shards")
    workspace = Workspace(home.workspace("moving_shapes"), home.remote)
    assert made.tags["dagster/data_version"] == workspace.version("shards")
    assert workspace.version("shards") in (workspace.root / "dvc.lock").read_text()


def test_other_weights_make_that_encoders_features_anew_and_no_others(materialize, workers, foresight):
    materialize(*DATA)
    (foresight.profile.weights.folder("qwen") / "model.safetensors").write_text("trained longer")
    workers.commands.clear()
    materialize(*DATA)
    assert workers.commands == ["qwen"]


@pytest.mark.parametrize("stage", ["dinov2", "qwen"])
def test_another_precision_makes_that_encoders_features_anew_and_no_others(materialize, workers, monkeypatch, stage):
    materialize(*DATA)
    changed = repository_params()
    changed[stage]["precision"] = "int8"
    monkeypatch.setattr(datasets, "repository_params", lambda: changed)
    workers.commands.clear()
    materialize(*DATA)
    assert workers.commands == [stage]
