"""`foresight run`: what it makes, what it does not make twice, and how it says that it could not."""

import json

import dagster as dg
import pytest
from typer.testing import CliRunner

from orchestration import run as running
from orchestration import selection
from orchestration.cli.app import app
from orchestration.gates.clearance import ClearanceRefused
from orchestration.home import Home
from orchestration.lock import RunningError
from orchestration.run import RunError, RunRefused
from orchestration.run import run as go


def programme(*assets):
    """Definitions of a few assets in place of the real ones."""
    job = dg.define_asset_job(running.PROGRAMME)
    return lambda home, profile: dg.Definitions(assets=list(assets), jobs=[job], executor=dg.in_process_executor)


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("DAGSTER_HOME", "FORESIGHT_HOME", "FORESIGHT_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    return Home(tmp_path / "home")


@dg.asset(key=["moving_shapes", "clips"])
def clips():
    return dg.MaterializeResult(metadata={"made_now": dg.MetadataValue.bool(False)})


@dg.asset(key=["moving_shapes", "shards"], deps=[clips])
def shards():
    raise OSError("no space left on device")


@dg.asset(key=["moving_shapes", "phase2"], deps=[clips])
def phase2():
    raise ClearanceRefused("phase 2 may not start: phase 1 is NO_GO")


def test_the_stages_are_told_with_their_times_and_whether_they_stood(home, monkeypatch):
    monkeypatch.setattr(running, "build", programme(clips))
    outcome = go(home)
    assert list(outcome.seconds) == ["moving_shapes/clips"]
    assert outcome.made == {"moving_shapes/clips": False}
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey(["moving_shapes", "clips"])) is not None


def test_a_failed_stage_is_one_line_with_its_reason(home, monkeypatch):
    monkeypatch.setattr(running, "build", programme(clips, shards))
    with pytest.raises(RunError, match=r"moving_shapes/shards: no space left on device \(the whole log: .*run\.log\)"):
        go(home)


def test_the_line_is_the_projects_own_and_not_that_of_the_library_below_it(home, monkeypatch):
    @dg.asset(key=["moving_shapes", "clips"])
    def away():
        try:
            raise OSError("[Errno 111] refused")
        except OSError as error:
            raise RuntimeError("the store is away; mend it and run again") from error

    monkeypatch.setattr(running, "build", programme(away))
    with pytest.raises(RunError, match="moving_shapes/clips: the store is away; mend it and run again"):
        go(home)


def test_a_gate_that_refuses_is_exit_3(home, monkeypatch):
    monkeypatch.setattr(running, "build", programme(clips, phase2))
    with pytest.raises(RunRefused, match="phase 2 may not start: phase 1 is NO_GO") as refused:
        go(home)
    assert refused.value.exit_code == 3


def test_a_second_run_is_refused_while_one_goes_on(home, holder, monkeypatch):
    monkeypatch.setattr(running, "build", programme(clips))
    with pytest.raises(RunningError, match="is going on here"):
        go(home)


def test_until_cuts_after_a_stage_with_its_gate():
    names = ["clips", "shards", "phase1", "phase1_gate", "phase2", "report"]
    keys = [dg.AssetKey(["moving_shapes", name]) for name in names] + [dg.AssetKey(["other", "clips"])]
    wanted = selection.wanted(keys, {"moving_shapes"}, "phase1")
    assert {key.path[-1] for key in wanted} == {"clips", "shards", "phase1", "phase1_gate"}
    with pytest.raises(selection.SelectionError, match="no such stage"):
        selection.wanted(keys, {"moving_shapes"}, "phase9")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "/nowhere"], "neither a dataset"),
        (["--profile", "desktop"], "known: a100, laptop"),
        (["--override-by", "me"], "go together"),
        (["--until", "phase9"], "no such stage"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(home, monkeypatch, arguments, says):
    monkeypatch.setenv("FORESIGHT_HOME", str(home.root))
    result = CliRunner().invoke(app, ["run", *arguments])
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_json_is_one_document_and_nothing_else(home, monkeypatch):
    monkeypatch.setenv("FORESIGHT_HOME", str(home.root))
    monkeypatch.setattr(running, "build", programme(clips))
    result = CliRunner().invoke(app, ["run", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["stages"][0]["stage"] == "moving_shapes/clips"
