"""`foresight budget` and the database in `foresight doctor`: what they print, where, and how they exit."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from orchestration.budget.ledger import Ledger
from orchestration.cli.app import app
from orchestration.cli.doctor import examine
from orchestration.home import Home
from orchestration.plan.programme import load as programme
from orchestration.profile import load
from orchestration.record import opened
from orchestration.record.store import Store
from tests.orchestration.ledgers import Clock

WORK = "clips/phase1/abc"


def foresight(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def printed(result: Result) -> Any:
    """The one document on stdout."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def ledger() -> Ledger:
    """Of the home that the commands find."""
    return Ledger(Store(Home.find().database), programme(), Clock())


def trained(ledger: Ledger, ended: Any, key: str = f"{WORK}/1") -> None:
    clock: Any = ledger._clock
    ledger.reserve(key, phase=1, gpus=1, max_hours=2, device="a100", experiment="phase1", person="ada")
    ledger.commit(key)
    for step in range(1, 51):
        clock.pass_hours(0.04)
        ledger.heartbeat(key, step, 100)
    if ended:
        ledger.settle(key, ended=ended)


def test_it_shows_caps_people_forecasts_and_storage(ledger: Ledger) -> None:
    trained(ledger, "done")
    trained(ledger, None, "clips/phase1/abd/1")
    shown = foresight("budget").stdout
    for said in ("1 (§D.2)", "ada", "phase1", "Foreseen and true", "4 of 100 steps", "enough: ", "until the gate"):
        assert said in shown
    assert "DINOv2 features (§3.1)" in shown


def test_the_document_holds_the_same(ledger: Ledger) -> None:
    trained(ledger, "done")
    found = printed(foresight("budget", "--json"))
    assert found["schema"] == "foresight.budget/1"
    assert found["people"]["ada"] == {
        "gpu_hours": pytest.approx(2),
        "wall_hours": pytest.approx(2),
        "usd": pytest.approx(4),
    }
    assert found["reservations"][0]["forecast_error"] == pytest.approx(1)
    assert {row["phase"] for row in found["storage"]["phases"]} == {1, 2, 3}


def test_it_draws_itself(ledger: Ledger, tmp_path: Path) -> None:
    trained(ledger, "done")
    assert foresight("budget", "--figure", str(tmp_path / "budget.png")).exit_code == 0
    assert (tmp_path / "budget.png").read_bytes().startswith(b"\x89PNG")


def test_hours_are_approved_for_what_stopped_and_for_nothing_else(ledger: Ledger) -> None:
    arguments = ("budget", "approve", "clips/phase1", "--hours", "1.5", "--by", "A. Chair", "--why")
    refused = foresight(*arguments, "it still learns")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "waiting: nothing" in refused.stderr
    trained(ledger, "stopped")
    assert f"foresight budget approve {WORK}" in foresight("budget").stdout
    assert foresight(*arguments, " ").exit_code == 2
    given = printed(foresight(*arguments, "it still learns", "--json"))
    assert (given["schema"], given["work"], given["hours"]) == ("foresight.approval/1", WORK, 1.5)
    assert opened.ledger(Home.find()).granted(WORK) == 1.5


def test_a_database_that_is_away_is_told_in_one_line_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESIGHT_DATABASE", "postgresql://ada:secret@127.0.0.1:1/budget")
    shown = foresight("budget")
    assert (shown.exit_code, shown.stdout, shown.stderr.count("\n")) == (1, "", 1)
    assert "ada:***@127.0.0.1:1/budget" in shown.stderr
    [row] = [row for row in examine(load("laptop")) if row["what"] == "database"]
    assert row["fine"] is False
    assert "refused" in row["found"]
    assert "FORESIGHT_DATABASE" in row["remedy"]
    assert "secret" not in shown.stderr + row["found"]


def test_doctor_says_that_a_database_answers(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESIGHT_DATABASE", database)
    [row] = [row for row in examine(load("laptop")) if row["what"] == "database"]
    assert row["fine"] is True


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite:///relative.db", "no url"])
def test_an_address_that_names_no_database_is_wrong_input(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESIGHT_DATABASE", url)
    shown = foresight("budget")
    assert shown.exit_code == 2
    assert "give postgresql://USER@HOST/NAME or sqlite:////WHOLE/PATH" in shown.stderr


def test_a_budget_of_which_nothing_is_known_yet_says_so(ledger: Ledger) -> None:
    ledger.reserve("train", phase=2, gpus=2, max_hours=10, device="a100")
    ledger.commit("train")
    body = printed(foresight("budget", "--json"))
    assert [row["cap_gpu_hours"] for row in body["phases"]] == [80, 100, 120]
    assert (body["phases"][1]["left_gpu_hours"], body["reservations"][0]["state"]) == (80, "committed")
    shown = foresight("budget").stdout
    assert "train by unnamed, 10 h reserved; to go: nothing measured yet; enough: unclear" in shown


def test_both_commands_help_with_an_example() -> None:
    assert "foresight budget --figure budget.png" in " ".join(foresight("budget", "--help").stdout.split())
    assert "foresight budget approve moving_shapes/phase1" in " ".join(
        foresight("budget", "approve", "--help").stdout.split()
    )
