"""A dataset's DVC workspace: what is unchanged is known, what is committed can be had again, other parameters do not
mix.
"""

import pytest
import yaml

from orchestration.data.workspace import Workspace, WorkspaceError, repository_params


@pytest.fixture
def workspace(tmp_path):
    made = Workspace(tmp_path / "data" / "some", tmp_path / "remote")
    made.prepare(repository_params())
    (made.root / "data").mkdir()
    (made.root / "data" / "a.mkv").write_text("clip a")
    (made.root / "shards").mkdir()
    (made.root / "shards" / "one").write_text("shard")
    return made


def commit(workspace, *stages):
    for stage in stages:
        workspace.commit(stage)


def test_a_stage_is_fresh_only_while_nothing_it_depends_on_has_changed(workspace):
    assert not workspace.fresh("clips")
    assert not workspace.fresh("shards")
    commit(workspace, "clips", "shards")
    assert workspace.fresh("clips")
    assert workspace.fresh("shards")
    (workspace.root / "data" / "b.mkv").write_text("clip b")
    assert not workspace.fresh("clips")
    assert not workspace.fresh("shards")


def test_the_version_is_the_hash_in_dvc_lock_and_follows_the_bytes(workspace):
    commit(workspace, "clips", "shards")
    first = workspace.version("shards")
    assert first in (workspace.root / "dvc.lock").read_text()
    (workspace.root / "shards" / "two").write_text("more")
    workspace.commit("shards")
    assert workspace.version("shards") != first


def test_what_is_committed_lies_in_the_remote(workspace):
    workspace.commit("shards")
    assert any(path.is_file() for path in workspace.remote.rglob("*"))


def test_other_parameters_take_the_old_outs_away_and_the_same_ones_keep_them(workspace):
    commit(workspace, "clips", "shards")
    workspace.clear("shards")
    assert (workspace.root / "shards" / "one").is_file()
    params = repository_params()
    params["shards"]["size"] = 128
    workspace.prepare(params)
    assert not workspace.fresh("shards")
    workspace.clear("shards")
    assert not (workspace.root / "shards").exists()


def test_a_parameter_that_a_stage_did_not_have_takes_the_old_outs_away(workspace):
    """As when a new release of this project adds one: what was made before it is not known to be the same."""
    features = workspace.root / "features" / "dinov2"
    features.mkdir(parents=True)
    (features / "one").write_text("tokens")
    commit(workspace, "clips", "shards", "dinov2")
    lock = workspace.root / "dvc.lock"
    known = yaml.safe_load(lock.read_text())
    del known["stages"]["dinov2"]["params"]["params.yaml"]["dinov2.precision"]
    lock.write_text(yaml.safe_dump(known))
    assert not workspace.fresh("dinov2")
    workspace.clear("dinov2")
    assert not features.exists()


def test_a_stage_that_was_never_made_has_no_version(workspace):
    with pytest.raises(WorkspaceError, match="stage dinov2 was never committed"):
        workspace.version("dinov2")


def test_a_damaged_lock_is_one_line(workspace):
    commit(workspace, "clips", "shards")
    (workspace.root / "dvc.lock").write_text("stages: [")
    with pytest.raises(WorkspaceError, match=r"dvc\.lock: damaged .* remove it"):
        workspace.fresh("shards")
