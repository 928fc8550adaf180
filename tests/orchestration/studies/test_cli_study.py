"""What a person is told before a study spends: its plan, its price, and a question; and what a run shows."""

import json

import pytest
from typer.testing import CliRunner

from orchestration import selection
from orchestration.cli.experiment import experiment_app
from orchestration.groups import key
from orchestration.studies import STUDIES

RUN = CliRunner()


def said(*words: str, code: int = 0) -> str:
    done = RUN.invoke(experiment_app, list(words))
    assert done.exit_code == code, done.output
    return done.output


def test_a_plan_says_its_cells_and_its_price_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    shown = json.loads(said("q4", "--profile", "a100", "--plan", "--json"))
    assert shown["gpu_hours"] == shown["max_hours"] * shown["gpus"] > 0
    assert shown["usd"] == shown["gpu_hours"] * 2
    assert "clips-40-0" in shown["cells"]
    assert "USD" in said("q4", "--profile", "a100", "--plan")
    assert not (tmp_path / "home").exists()


def test_gpu_hours_are_not_spent_where_nobody_can_be_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    done = RUN.invoke(experiment_app, ["q4", "--profile", "a100"])
    assert done.exit_code == 2
    assert "nobody is there to ask; give --yes, or see --plan" in done.output + (done.stderr or "")
    assert not (tmp_path / "home" / "runs").exists()


def test_the_list_says_what_was_asked_and_that_nothing_has_run(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    rows = {one["name"]: one for one in json.loads(said("list", "--json"))["experiments"]}
    assert rows["q4"]["verdict"] is None
    assert rows["q4"]["hypothesis"]


def test_a_study_is_made_with_what_it_starts_from_and_never_by_itself():
    names = ("clips", "shards", "latents", "premise", "phase1", "phase2", "q4", "predictor")
    keys = [key("moving_shapes", name) for name in names]
    made = {one.path[-1] for one in selection.wanted(keys, {"moving_shapes"}, "q4")}
    assert made == {"clips", "shards", "latents", "q4"}
    whole = {one.path[-1] for one in selection.wanted(keys, {"moving_shapes"}, "")}
    assert not whole & {*STUDIES, "predictor"}


@pytest.mark.parametrize("name", ["premise", "list", *STUDIES[:1]])
def test_help_has_an_example(name):
    assert "Example: foresight experiment" in said(name, "--help")
