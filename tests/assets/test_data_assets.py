"""Data assets: DVC's word is what counts, for whether something is made and for what its version is."""

import json
from pathlib import Path

import pytest
import yaml

from orchestration.budget.ledger import BudgetRefused
from orchestration.data import datasets
from orchestration.data.workspace import Workspace, repository_params
from orchestration.plan.programme import load
from orchestration.plan.standing import standing
from orchestration.profile import ProfileError
from orchestration.record.opened import ledger

DATA = ("clips", "shards", "dinov2", "qwen", "latents")


def test_each_stage_is_dispatched_once_and_then_stands(materialize, workers):
    materialize(*DATA)
    assert sorted(workers.commands) == sorted(DATA)
    again = materialize(*DATA)
    assert len(workers.commands) == len(DATA)
    assert again.metadata["made_now"].value is False


def test_what_is_extracted_on_gpus_is_paid_for_by_the_phase_that_it_is_for(materialize, workers, home):
    materialize(*DATA)
    held = {one.experiment: one for one in ledger(home).reservations()}
    assert {name: one.phase for name, one in held.items()} == {"dinov2": 1, "qwen": 2, "latents": 3}
    assert {(one.state, one.ended) for one in held.values()} == {("settled", "done")}
    timeline, _ = standing(home, "moving_shapes", load())
    assert not [row.name for row in timeline.rows if row.phase and row.began], "no phase begins with its features"


def test_an_extraction_over_its_phases_hours_is_refused_before_it_is_sent(materialize, workers, foresight):
    path = Path(foresight.profile_name)
    profile = yaml.safe_load(path.read_text())
    profile["budget"] = {"gpus": 1, "max_hours": 101}
    path.write_text(yaml.safe_dump(profile))
    materialize("clips", "shards")
    with pytest.raises(BudgetRefused, match="GPU-hours do not fit phase 2: 0 used and 0 reserved of 100"):
        materialize("qwen")
    assert "qwen" not in workers.commands


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


def test_features_that_other_code_made_are_made_anew_though_dvc_sees_no_change(materialize, workers, home, monkeypatch):
    materialize(*DATA)
    store = home.workspace("moving_shapes") / "features" / "qwen"
    document = {"name": "qwen", "encoder": "", "weights_sha256": "", "standin": True}
    (store / "store.json").write_text(json.dumps({**document, "fingerprint": "of older code"}))
    Workspace(home.workspace("moving_shapes"), home.remote).commit("qwen")
    (store / "of older code").touch()
    workers.commands.clear()
    materialize(*DATA)
    assert workers.commands == ["qwen"]
    assert not (store / "of older code").exists()


def test_an_encoder_that_computes_in_another_precision_makes_its_features_anew(materialize, workers, foresight):
    materialize(*DATA)
    profile = Path(foresight.profile_name)
    table = yaml.safe_load(profile.read_text())
    table["weights"]["dinov2"] = {"source": table["weights"]["dinov2"], "precision": "bfloat16"}
    profile.write_text(yaml.safe_dump(table))
    workers.commands.clear()
    materialize(*DATA)
    assert workers.commands == ["dinov2"]


def test_weights_that_are_not_the_pinned_ones_stop_a_run_before_anything_is_dispatched(materialize, workers, foresight):
    profile = Path(foresight.profile_name)
    table = yaml.safe_load(profile.read_text())
    table["weights"]["vae"] = {"source": table["weights"]["vae"], "sha256": "0" * 64}
    profile.write_text(yaml.safe_dump(table))
    with pytest.raises(ProfileError, match=r"weights of vae: .* it is refused"):
        materialize(*DATA)
    assert workers.commands == []
