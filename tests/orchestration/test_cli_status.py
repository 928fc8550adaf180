"""`foresight status`: one screen of 100 columns, and one document, with timeline and risks in both."""

import json

import pytest
from typer.testing import CliRunner

from orchestration.cli.app import app
from tests.orchestration.report.conftest import Ran
from tests.orchestration.report.sample import phase1, phase2

RUN = CliRunner()


@pytest.fixture
def ran(tmp_path) -> Ran:
    made = Ran(tmp_path / "home")
    made.decided(phase1())
    made.decided(phase2())
    return made


def test_it_is_readable_in_100_columns(ran, monkeypatch):
    monkeypatch.setenv("FORESIGHT_START", "2020-01-06")
    done = RUN.invoke(app, ["status"], env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 100
    assert "…" not in done.output, "nothing is cut off"
    for said in ("Timeline, §3.2", "late", "Risks, §4.1 and §4.2", "people watch it", "First day"):
        assert said in done.output


def test_programs_get_the_same_as_one_document(ran):
    found = json.loads(RUN.invoke(app, ["status", "--json"]).output)
    assert [step["phase"] for step in found["timeline"]["steps"]] == [None, 1, 2, 3, None]
    assert found["timeline"]["steps"][1]["state"] == "done"
    assert found["timeline"]["steps"][2]["state"] == "waits"
    assert {one["state"] for one in found["risks"]} <= {"open", "triggered", "retired"}
    assert len(found["risks"]) == 8
    assert found["untold"] == []


def test_a_channel_that_did_not_take_a_notice_is_shown(ran):
    ran.log.note("notice_failed", notice=f"decision-{ran.log.latest(2).sha256}", channel="file", attempt=1, why="down")
    found = json.loads(RUN.invoke(app, ["status", "--json"]).output)
    assert [(one["channel"], one["failed"]) for one in found["untold"]] == [("file", 1)]
    assert "foresight notify" in RUN.invoke(app, ["status"]).output


def test_notify_tells_once_and_says_what_failed(ran, tmp_path):
    done = RUN.invoke(app, ["notify", "--json"])
    assert done.exit_code == 0, done.output
    assert [one["channel"] for one in json.loads(done.output)["tried"]] == ["file"]
    assert "Nothing to tell" in RUN.invoke(app, ["notify"]).output
    (tmp_path / "home" / "notices.jsonl").unlink()
    (tmp_path / "home" / "notices.jsonl").mkdir()
    failed = RUN.invoke(app, ["notify", "--test"])
    assert failed.exit_code == 1
    assert "file failed" in failed.output
