"""A real Ray cluster, a real S3 server, two nodes that share no folder with the home: the same programme, elsewhere."""

import json
import subprocess
import sys

import pytest
import yaml

from models.training.checkpoint import read
from orchestration.data.workspace import Workspace, remote_of
from tests.stack.remote import ON_RAY, Remote

pytestmark = pytest.mark.stack


def test_a_data_stage_of_the_cluster_ends_with_the_lock_that_this_machine_writes(
    remote_made: Remote, tmp_path, monkeypatch
):
    for name, value in remote_made.environment.items():
        monkeypatch.setenv(name, value)
    here = remote_made.another(tmp_path)
    local = Workspace(here.home.workspace("moving_shapes"), remote_of(here.home))
    lock = local.root / "dvc.lock"
    there = yaml.safe_load(lock.read_text())["stages"]["shards"]
    jobs = {job.metadata["foresight.work"].split("/")[1]: job for job in remote_made.jobs()}
    assert jobs["shards"].status.value == "SUCCEEDED"
    assert set(jobs) == {"shards"}, "raw clips are made where they lie, the rest was asked of this machine"
    local.remove("shards")
    lock.unlink()
    _, *arguments = local.command("shards").split()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=local.root, env=here.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    local.commit("shards")
    assert yaml.safe_load(lock.read_text())["stages"]["shards"] == there


def test_a_training_of_the_cluster_leaves_in_the_home_what_one_of_this_machine_leaves(remote: Remote):
    remote.go(remote.profile(ON_RAY), "phase1")
    out = remote.home.run("moving_shapes", "phase1")
    result = json.loads((out / "result.json").read_text())
    assert result["fingerprint"]
    assert read(out / result["checkpoints"]["dino_only"]).step == 6
    assert len((out / "history.jsonl").read_text().splitlines()) == 6
    assert all(path.startswith(str(out)) for path in result["pictures"])
    assert (out / "figures" / "loss.png").read_bytes().startswith(b"\x89PNG")
    [held] = remote.ledger.reservations()
    assert (held.state, held.ended, held.key.rpartition("/")[2], held.gpus) == ("settled", "done", "a1", 1)
    assert 0 < held.wall_hours <= held.max_hours
    [job] = [job for job in remote.jobs() if held.key == job.metadata["foresight.key"]]
    assert not [name for name in job.runtime_env["env_vars"] if "AWS" in name or "TOKEN" in name]
    assert remote.environment["AWS_SECRET_ACCESS_KEY"] not in job.model_dump_json()


def test_a_training_shared_by_workers_on_two_machines_gives_the_losses_of_one(remote: Remote, tmp_path):
    alone, shared = remote, remote.another(tmp_path / "shared")
    alone.go(alone.profile(), "phase1")
    told = {"least": 2, "most": 2, "accelerator": None}
    shared.go(shared.profile({**ON_RAY, "stages": {}}, workers=told), "phase1")
    losses = [
        [json.loads(row)["loss"] for row in (one.home.run("moving_shapes", "phase1") / "history.jsonl").open()]
        for one in (alone, shared)
    ]
    assert len(losses[0]) == 6
    assert losses[1] == pytest.approx(losses[0], rel=2e-5)
