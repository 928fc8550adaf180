"""The worker's door: a job of another stage, or with a folder outside the home that it names, does not come in."""

import json
import os

import pytest

from orchestration.admission import admit
from orchestration.jobs import MAX_BYTES, JobError
from tests.orchestration.test_worker import job, worker


@pytest.fixture
def home(tmp_path):
    """A home with a secret beside it."""
    root = tmp_path / "home"
    (root / "data").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    return root


def written(home, /, **changes):
    """A job file in the home, edited as text: what the types would not let through too."""
    path = job(home, inputs={"phase1": home / "runs" / "phase1"}).write()
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_a_job_of_the_home_comes_in_whole(home):
    made = job(home, inputs={"phase1": home / "runs" / "other"})
    assert admit(made.write(), "phase1") == made


def test_a_home_that_is_reached_by_a_link_is_a_home(home, tmp_path):
    (tmp_path / "link").symlink_to(home)
    assert admit(job(tmp_path / "link").write(), "phase1")


@pytest.mark.parametrize("field", ["workspace", "out", "inputs"])
@pytest.mark.parametrize("way", ["beside", "climbing", "link", "relative", "home itself"])
def test_a_folder_outside_the_home_is_refused(home, tmp_path, field, way):
    (home / "link").symlink_to(tmp_path / "beside")
    to = {
        "beside": tmp_path / "beside",
        "climbing": home / "data" / ".." / ".." / "beside",
        "link": home / "link" / "below",
        "relative": "data",
        "home itself": home,
    }[way]
    path = written(home, **{field: {"phase1": str(to)} if field == "inputs" else str(to)})
    name = "inputs.phase1" if field == "inputs" else field
    with pytest.raises(JobError, match=f"{name} .* lies outside its home") as refused:
        admit(path, "phase1")
    assert "\n" not in str(refused.value)


def test_links_that_run_in_a_circle_are_refused(home):
    (home / "circle").symlink_to(home / "circle")
    with pytest.raises(JobError, match="out"):
        admit(written(home, out=str(home / "circle" / "x")), "phase1")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stage": "phase2"}, "a job of the stage phase2, not of phase1"),
        ({"home": "/nowhere"}, "home '/nowhere' is no folder here"),
        ({"home": "."}, r"home '\.' is no folder here"),
        ({"dataset": "../../etc"}, "dataset '../../etc' is no name of one"),
        ({"schema": "foresight.job/2"}, "says 'foresight.job/2'; this code reads foresight.job/1"),
        ({"schema": None}, "names no schema; this code reads foresight.job/1"),
        ({"weights": 3}, "weights: Input should be"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(home, changes, said):
    with pytest.raises(JobError, match=said) as refused:
        admit(written(home, **changes), "phase1")
    assert "\n" not in str(refused.value)


def test_a_job_without_a_schema_is_none(home):
    path = written(home)
    said = json.loads(path.read_text())
    del said["schema"]
    path.write_text(json.dumps(said))
    with pytest.raises(JobError, match="names no schema"):
        admit(path, "phase1")


def test_only_a_regular_file_of_a_jobs_size_is_read(home, tmp_path):
    path = written(home)
    path.write_text(path.read_text() + " " * MAX_BYTES)
    with pytest.raises(JobError, match=f"at most {MAX_BYTES}; this is no job file"):
        admit(path, "phase1")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(JobError, match="no regular file"):
        admit(tmp_path / "pipe", "phase1")
    for content in ("", "[]", "{", "\0" * 9, "[" * 100_000):
        path.write_text(content)
        with pytest.raises(JobError) as refused:
            admit(path, "phase1")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("stage", ["phase1", "evaluate", "premise"])
def test_the_worker_itself_refuses_at_its_door(home, tmp_path, stage):
    path = written(home, stage=stage, out=str(tmp_path / "beside"))
    done = worker(stage, "--job", str(path), cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{stage}: {path}: out '{tmp_path / 'beside'}' lies outside its home" in done.stderr
    assert not list((tmp_path / "beside").iterdir())


def test_a_job_is_far_smaller_than_its_limit(home):
    assert len(written(home).read_bytes()) < MAX_BYTES / 50
