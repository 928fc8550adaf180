"""The stage of a study: cells measured once and kept, one made again without the others, resumed after a failure."""

import json
import sys

import pytest

from orchestration import tracking
from orchestration.experiments.documents import ExperimentDecision
from orchestration.home import Home
from orchestration.jobs import Job
from orchestration.profile import load
from orchestration.stages import inputs
from orchestration.studies import stage
from orchestration.studies.declaration import StudyDeclaration
from orchestration.studies.documents import read_study
from tests.orchestration.studies import fake

DECLARED = {
    "schema": "foresight.study/1",
    "name": "q4",
    "title": "Numbers",
    "section": "house",
    "hypothesis": {"section": "house", "says": "Numbers are above nothing."},
    "doubts": [{"section": "house", "says": "They may not be."}],
    "plan": {"numbers": {"one": 1.0, "two": 2.0}},
    "rule": [{"claim": "above", "says": "One is above nothing.", "section": "house", "value": "one", "above": 0.0}],
    "min_clips": {"section": "house", "at": 3},
    "seed": 0,
    "sizes": {"laptop": {"clips": 5, "max_hours": 1}, "a100": {"clips": 50, "max_hours": 2}},
}


class Nothing:
    """Inputs of which every byte is as it was written."""

    def __init__(self, job: Job) -> None:
        self.job, self.shards = job, self

    def store(self, _: str) -> "Nothing":
        return self

    def verify(self) -> None:
        return None


class Said:
    """MLflow, as far as a stage tells it something."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def attempt(self, job: Job):
        return self.child(job, "parent")

    def child(self, _: Job, name: str):
        from contextlib import nullcontext

        self.runs.append(name)
        return nullcontext(Told(name))


class Told:
    def __init__(self, name: str) -> None:
        self.id = name

    def __getattr__(self, _: str):
        return lambda *given: None


@pytest.fixture
def said(monkeypatch) -> Said:
    made = Said()
    monkeypatch.setattr(tracking, "attempt", made.attempt)
    monkeypatch.setattr(tracking, "child", made.child)
    monkeypatch.setattr(inputs, "Inputs", Nothing)
    monkeypatch.setitem(sys.modules, "orchestration.studies.q4", fake)
    fake.calls.clear()
    fake.failing.clear()
    return made


@pytest.fixture
def run(said, tmp_path):
    home = Home(tmp_path / "home")

    def go(**plan):
        declared = StudyDeclaration.model_validate({**DECLARED, "plan": {"numbers": {"one": 1.0, "two": 2.0} | plan}})
        job = Job(
            stage="q4",
            phase=2,
            dataset="moving_shapes",
            home=home.root,
            workspace=home.workspace("moving_shapes"),
            out=home.run("moving_shapes", "q4"),
            profile=load("laptop"),
            data_versions={"shards": "1"},
            weights={},
            code_commit="none",
            study=declared,
        )
        job.workspace.mkdir(parents=True, exist_ok=True)
        fake.calls.clear()
        return job.out, stage.run("q4", job.write(), lambda *_: None)

    return go


def kept(out) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (out / "cells").glob("*.json")}


def test_every_cell_is_measured_once_and_has_a_run_of_its_own(run, said):
    out, result = run()
    assert fake.calls == ["table", "one", "two", "after"]
    assert said.runs == ["parent", *fake.calls]
    assert result["runs"].keys() == {"parent", *fake.calls}
    before = kept(out)
    run()
    assert fake.calls == []
    assert kept(out) == before


def test_a_cell_is_made_again_with_those_that_read_it_and_without_the_others(run):
    out, _ = run()
    before = kept(out)
    run(one=1.5)
    assert fake.calls == ["one", "after"]
    assert {name for name, found in kept(out).items() if found != before[name]} == {"one", "after"}
    run(two=3.0)
    assert fake.calls == ["one", "two", "after"]  # the plan is that of before but for `two`


def test_a_cell_that_fails_is_named_and_what_was_measured_before_it_stays(run):
    fake.failing.add("two")
    with pytest.raises(stage.CellError, match="q4: cell two: no table is that long"):
        run()
    fake.failing.clear()
    run()
    assert fake.calls == ["two", "after"]


def test_what_another_fingerprint_left_in_a_cells_folder_is_gone_and_its_own_stays(run):
    out, _ = run()
    left = out / "cells" / "one" / "left"
    left.write_text("a checkpoint of other settings")
    run(one=1.5)
    assert left.read_text() == "there"


def test_a_damaged_cell_is_measured_again(run):
    out, _ = run()
    (out / "cells" / "two.json").write_text('{"standin": tr')
    run()
    assert fake.calls == ["two"]


def test_the_document_pins_its_cells_and_the_page_says_what_was_asked_and_found(run):
    out, _ = run()
    document = read_study(out / stage.DOCUMENT, "q4")
    assert document.standins
    assert document.cells.keys() == {"table", "one", "two", "after"}
    assert document.values["two"].n == 5
    page = (out / stage.PAGE).read_text()
    for words in (
        "Numbers are above nothing.",
        "STANDS, FOR STAND-INS",
        "Made with stand-ins",
        "2 numbers were measured.",
    ):
        assert words in page
    assert "They may not be." in page


def test_the_rules_decision_holds_for_what_was_measured(run):
    from orchestration.studies.rule import decide

    out, _ = run()
    declared = StudyDeclaration.model_validate(DECLARED)
    found = read_study(out / stage.DOCUMENT, "q4")
    decision: ExperimentDecision = decide(declared, found, standins_decide=["laptop"])
    assert decision.verdict == "stands"
    assert decision.pins["document_sha256"] == found.sha256
    assert decide(declared, found, standins_decide=[]).verdict == "open"
    other = StudyDeclaration.model_validate({**DECLARED, "seed": 1})
    assert (
        decide(other, found, standins_decide=["laptop"]).claims[0].why.startswith("measured under another declaration")
    )


def test_cells_that_cannot_be_followed_are_refused(run, monkeypatch):
    from orchestration.studies.cells import CellsError
    from orchestration.studies.study import Cell

    monkeypatch.setattr(fake, "cells", lambda *_: [Cell("a", {}, ("b",)), Cell("b", {})])
    with pytest.raises(CellsError, match="cell a reads b, which does not come before it"):
        run()
    monkeypatch.setattr(fake, "cells", lambda *_: [Cell("a", {}), Cell("a", {})])
    with pytest.raises(CellsError, match="two cells named a"):
        run()


def test_the_time_is_up_between_two_cells(run, monkeypatch):
    from orchestration.budget.allowance import StoppedAtReservation

    monkeypatch.setattr(stage, "countdown", lambda _: lambda: 0.0 if len(fake.calls) > 1 else 1.0)
    with pytest.raises(StoppedAtReservation, match="q4: its time was up before two"):
        run()
    monkeypatch.undo()


def test_the_job_says_which_declaration_it_was(run):
    out, _ = run()
    written = json.loads((out / "job.json").read_text())
    assert written["study"]["plan"] == {"numbers": {"one": 1.0, "two": 2.0}}
