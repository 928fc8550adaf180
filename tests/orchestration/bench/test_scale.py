"""`foresight bench scale`: each operation is done for real to a small home; what outgrows the clips fails."""

import json
import os
import subprocess

import pytest
import typer
from typer.testing import CliRunner

from orchestration.bench import scale, scale_home
from orchestration.bench.scale import Growth, Reading, ScaleError, measure
from orchestration.bench.scale_operations import OPERATIONS
from orchestration.cli.bench import bench_app
from orchestration.data.datasets import GENERATED
from orchestration.home import Home

app = typer.Typer()
app.add_typer(bench_app, name="bench")
CLIPS = 100
QUADRATIC = "DVC status"


def costs(name: str, clips: int) -> float:
    """Seconds of an operation as it should be, but for one whose time is the square of the clips."""
    if name == QUADRATIC:
        return 1e-6 * clips**2
    return 1.0 if OPERATIONS[name].constant else 1e-3 * clips


@pytest.fixture
def planted(monkeypatch):
    """The whole measurement, with homes and processes of no cost."""
    monkeypatch.setattr(scale_home, "make_record", lambda root: Home(root))
    monkeypatch.setattr(scale_home, "make", lambda root, clips, record: Home(root))
    monkeypatch.setattr(scale_home, "remove", lambda home: None)
    monkeypatch.setattr(scale, "fresh", lambda name, home: Reading(costs(name, int(home.root.name)), 10**8))


@pytest.mark.usefixtures("planted")
def test_an_operation_that_grows_with_the_square_misses_the_goal():
    found = {one.name: one for one in measure((1000, 10_000, 100_000))}
    assert list(found) == list(OPERATIONS)
    assert [name for name, one in found.items() if not one.met] == [QUADRATIC]
    assert found[QUADRATIC].ratio == pytest.approx(100)
    assert found[QUADRATIC].steepest == pytest.approx(10)
    assert {one.ratio for one in found.values() if one.constant} == {1.0}


@pytest.mark.usefixtures("planted")
def test_the_command_says_which_one_and_ends_with_1(tmp_path):
    done = CliRunner().invoke(app, ["bench", "scale", "--sizes", "1000,2000", "--figure", str(tmp_path / "scale.png")])
    assert done.exit_code == 1
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith(QUADRATIC)]
    assert "missed" in line
    assert done.stdout.count("missed") == 1
    assert f"met by {len(OPERATIONS) - 1} of {len(OPERATIONS)} operations" in done.stdout
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("planted")
def test_one_document_and_the_progress_beside_it():
    done = CliRunner().invoke(app, ["bench", "scale", "--sizes", "1000,2000", "--json"])
    document = json.loads(done.stdout)
    assert (document["bench"], document["goal"]) == ("scale", 1.2)
    judged = {one["operation"]: one["judged_by"] for one in document["operations"]}
    assert judged["sensor tick"] == judged["definitions load"] == "whole"
    assert judged["ingest"] == "clip"
    assert "2,000 clips: ingest" in done.stderr


def test_what_should_not_depend_on_the_clips_is_judged_by_its_whole_time():
    readings = {1000: Reading(1.0, 1), 10_000: Reading(1.3, 1)}
    assert not Growth("sensor tick", True, readings).met
    assert Growth("ingest", False, readings).met


@pytest.mark.parametrize("sizes", [[1000], [10_000, 1000], [1000, 1000], [10, 1000]])
def test_sizes_that_cannot_be_compared_are_refused(sizes):
    with pytest.raises(ScaleError, match="give two or more, ascending, each at least 100"):
        measure(sizes)


def test_sizes_that_are_no_numbers_are_one_line():
    done = CliRunner().invoke(app, ["bench", "scale", "--sizes", "many"])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "--sizes many: not numbers of clips" in done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A home of 100 clips with a short record."""
    folder = tmp_path_factory.mktemp("scale")
    record = scale_home.make_record(folder / "record", rows=30, materializations=3)
    return scale_home.make(folder / "home", CLIPS, record)


def test_each_operation_does_its_work_on_a_real_home(home, monkeypatch):
    """In their order, in this process: the last one finds 100 clips and adds ten."""
    monkeypatch.chdir(home.root)  # some work in the workspace, and this process must come back
    for key in scale.PLACES:
        monkeypatch.delenv(key, raising=False)
    for key in ("FORESIGHT_HOME", "DAGSTER_HOME", "FORESIGHT_WEIGHTS"):
        monkeypatch.setenv(key, os.environ.get(key, str(home.root)))
    monkeypatch.setenv("FORESIGHT_HOME", str(home.root))
    made = {name: one.ready(home)() for name, one in OPERATIONS.items() if name != "validation"}
    assert (made["ingest"]["clips"], made["ingest"]["added"]) == (CLIPS, CLIPS)
    assert (made["ingest, nothing new"]["added"], made["ingest, nothing new"]["shards_written"]) == (0, 0)
    assert made["extract features"] == CLIPS
    assert made["open features"] == []
    assert sum(1 for _ in (home.workspace(GENERATED) / "data/clips").glob("*.mkv")) == CLIPS + CLIPS // 10
    assert (made["ingest a tenth more"]["clips"], made["ingest a tenth more"]["added"]) == (110, 10)
    assert len(made["ledger, 0.1 row a clip"]["reservations"]) == 4
    assert json.loads(made["foresight status"])["phases"][0]["verdict"] == "INCONCLUSIVE"


def test_a_process_prints_what_it_took(home):
    reading = scale.fresh("definitions load", home)
    assert 0 < reading.seconds < 120
    assert 10**7 < reading.peak_bytes < 10**10


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"'open shards, ids' failed \(.*ingest did not end here"):
        scale.fresh("open shards, ids", Home(tmp_path))


def test_what_the_environment_says_of_a_real_record_is_not_read(home, monkeypatch):
    """A benchmark must not write into the record of a programme, wherever that is."""
    told = []

    def run(command, env, **_):
        told.append(env)
        return subprocess.CompletedProcess(command, 0, '{"seconds": 1.0, "peak_bytes": 1}\n', "")

    monkeypatch.setenv("FORESIGHT_DATABASE", "postgresql://elsewhere/real")
    monkeypatch.setattr(subprocess, "run", run)
    scale.fresh("sensor tick", home)
    assert "FORESIGHT_DATABASE" not in told[0]
    assert told[0]["FORESIGHT_HOME"] == str(home.root)
