"""`foresight experiment`: what it prints, and how it ends."""

import json

import pytest
from typer.testing import CliRunner

from orchestration import run as running
from orchestration.cli.app import app
from orchestration.experiments.premise import decide
from orchestration.home import Home
from orchestration.record.opened import experiments
from tests.orchestration.experiments.audits import DECLARATION, audit


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


@pytest.fixture
def audited(home, monkeypatch):
    """In place of a run: an audit on stand-ins in which the premise falls."""

    def go(home, *, profile, data, until, quiet):
        assert (data, until) == ("moving_shapes", "premise")
        measured = audit({"qwen_premerge": 0.58}, profile="laptop", standins=True)
        folder = home.run(data, until)
        folder.mkdir(parents=True)
        (folder / "audit.json").write_text(json.dumps(measured.document()))
        experiments(home).record(decide(DECLARATION, measured, standins_decide=["laptop"]))

    monkeypatch.setattr(running, "run", go)


def foresight(*arguments: str):
    return CliRunner().invoke(app, ["experiment", *arguments])


def test_the_verdict_is_said_in_words_with_its_stand_ins(audited):
    result = foresight("premise")
    assert result.exit_code == 0, result.output
    seen = " ".join(result.stdout.split())
    assert "For these stand-ins the premise of the pivot falls." in seen
    assert "Made with stand-ins." in seen
    assert "Q2 reported 0.104" in seen
    assert "Qwen pre-merge, as returned real 0.050" in seen


def test_json_is_one_document_and_nothing_else(audited):
    result = foresight("premise", "--json")
    found = json.loads(result.stdout)
    assert found["decision"]["verdict"] == "falls"
    assert found["measured"]["standins"] is True
    assert result.stderr == ""


def test_an_override_is_signed_for_one_profile(home):
    signed = foresight("approve", "premise", "--profile", "a100", "--by", "Chair", "--why", "go on", "--json")
    assert json.loads(signed.stdout)["profile"] == "a100"
    assert experiments(home).live_override("premise", profile="a100").by == "Chair"
    assert experiments(home).live_override("premise", profile="laptop") is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["premise", "--data", "real"], "nothing is trained on it"),
        (["premise", "--data", "/nowhere"], "neither a dataset"),
        (["premise", "--profile", "desktop"], "known: a100, laptop"),
        (["approve", "c2", "--by", "me", "--why", "x"], "nothing waits for this experiment; give premise"),
        (["approve", "premise", "--by", " ", "--why", "x"], "an override needs a name"),
        (["approve", "premise", "--by", "me", "--why", "x", "--until", "soon"], "not a date"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(home, arguments, says):
    result = foresight(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
