"""The one door: a stage reads its job and nothing else, and says in one line what is wrong with it."""

import json
import subprocess
import sys

import pytest

from orchestration.home import REPOSITORY
from orchestration.jobs import Job, JobError, read
from orchestration.profile import load
from orchestration.worker import STAGES, main


def worker(*arguments, cwd):
    command = [sys.executable, "-m", "orchestration.worker", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={"PYTHONPATH": str(REPOSITORY), "PATH": ""}
    )


def job(tmp_path, **changes):
    values = {
        "stage": "phase1",
        "phase": 1,
        "dataset": "moving_shapes",
        "home": tmp_path,
        "workspace": tmp_path / "data",
        "out": tmp_path / "runs" / "phase1",
        "profile": load("laptop"),
        "data_versions": {"shards": "aa", "dinov2": "bb"},
        "weights": {"vae": "cc"},
        "code_commit": "none",
    }
    return Job(**{**values, **changes})


def test_a_data_stage_outside_a_workspace_says_where_it_must_stand(tmp_path):
    done = worker("shards", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no params.yaml here" in done.stderr


def test_an_unknown_stage_is_wrong_usage(tmp_path):
    assert worker("phase9", cwd=tmp_path).returncode == 2


def test_a_job_reads_back_as_it_was_written(tmp_path):
    made = job(tmp_path)
    assert read(made.write()) == made


@pytest.mark.parametrize("change", [{"gpu": 3}, {"phase": 7}])
def test_a_job_with_an_unknown_or_wrong_field_is_refused(tmp_path, change):
    path = job(tmp_path).write()
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(JobError, match=next(iter(change))):
        read(path)


def test_the_fingerprint_follows_what_the_result_depends_on_and_nothing_else(tmp_path):
    made, profile = job(tmp_path), load("laptop")
    slower = profile.model_copy(update={"phase1": profile.phase1.model_copy(update={"steps": 7})})
    later = profile.model_copy(update={"phase3": profile.phase3.model_copy(update={"steps": 7})})
    assert job(tmp_path, home=tmp_path / "elsewhere", code_commit="other").fingerprint == made.fingerprint
    assert job(tmp_path, profile=later).fingerprint == made.fingerprint
    assert job(tmp_path, profile=slower).fingerprint != made.fingerprint
    assert job(tmp_path, data_versions={"shards": "zz", "dinov2": "bb"}).fingerprint != made.fingerprint
    assert job(tmp_path, weights={"vae": "zz"}).fingerprint != made.fingerprint


def test_a_stage_that_refuses_to_go_on_exits_3(monkeypatch, capsys):
    class Full(RuntimeError):
        exit_code = 3

    def run(stage, job, reporter):
        raise Full("no room: make some")

    monkeypatch.setitem(STAGES, "shards", "tests.orchestration.test_worker")
    monkeypatch.setattr(sys.modules[__name__], "run", run, raising=False)
    assert main(["shards"]) == 3
    assert "shards: no room: make some" in capsys.readouterr().err
