"""A fallback judges an arm by what it keeps, and changes nothing of what the gate says or records."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from orchestration.cli.app import app
from orchestration.documents import DocumentError, parse_evaluation
from orchestration.fallbacks.declaration import load
from orchestration.fallbacks.verdict import judge
from orchestration.home import Home
from orchestration.plan.programme import load as programme
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from tests.orchestration.evaluations import document, metric

BLURRED: dict[str, Any] = {"spatial_iou": metric(0.20), "lpips": metric(0.60)}
"""A Phase 2 that knows what and when, and not where."""


def verdict(name: str, **metrics: Any):
    return judge(load(name), programme(), parse_evaluation(document(2, **metrics)))


def rows(found: Any) -> dict[str, str]:
    return {row.metric: row.outcome for row in found.criteria}


def test_semantic_prediction_stands_where_the_gate_does_not():
    found = verdict("semantic", **BLURRED)
    assert found.gate_verdict == "NO_GO"
    assert found.verdict == "GO"
    assert set(found.aside) == {"spatial_iou", "lpips"}
    assert not {row for row in rows(found) if "iou" in row or "lpips" in row}


def test_what_is_kept_still_fails():
    found = verdict("semantic", temporal_ordering=metric(0.5))
    assert rows(found)["temporal_ordering"] == "NO_GO"
    assert found.verdict == "NO_GO"


def test_the_vlms_own_numbers_judge_the_vlm():
    given = document(2, temporal_ordering=metric(0.5))
    given["arms"]["vlm_only"]["semantic_consistency"] = metric(0.70)
    found = judge(load("vlm_only"), programme(), parse_evaluation(given))
    assert rows(found) == {"temporal_ordering": "GO", "semantic_consistency": "MARGINAL"}


def test_a_measure_that_sees_nothing_on_true_clips_decides_nothing_for_an_arm_either():
    given = document(2, semantic_consistency_true_lift=metric(0.0, half=0.1))
    found = judge(load("vlm_only"), programme(), parse_evaluation(given))
    assert rows(found)["semantic_consistency"] == "INCONCLUSIVE"


def test_it_pins_both_programmes_and_the_evaluation():
    given = parse_evaluation(document(2))
    pins = judge(load("vlm_only"), programme(), given).pins
    assert pins["proposal_sha256"] == programme().sha256 != pins["programme_sha256"]
    assert pins["evaluation_sha256"] == given.sha256


def test_another_phase_and_a_missing_arm_are_refused():
    with pytest.raises(DocumentError, match="judges phase 2, not 1"):
        judge(load("semantic"), programme(), parse_evaluation(document(1)))
    given = document(2)
    del given["arms"]["vlm_only"]
    with pytest.raises(DocumentError, match="no arm vlm_only"):
        judge(load("vlm_only"), programme(), parse_evaluation(given))


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path))
    home = Home.find()
    folder = home.run("moving_shapes", "phase2")
    folder.mkdir(parents=True)
    (folder / "evaluation.json").write_text(json.dumps(document(2, **BLURRED)))
    return home


@pytest.mark.parametrize("name", ["semantic", "vlm_only"])
def test_the_command_shows_and_writes_it_and_records_no_decision(home, name):
    shown = CliRunner().invoke(app, ["fallback", name])
    assert shown.exit_code == 0, shown.output
    assert "Fallback, not a gate" in shown.output
    assert "spatial_iou is set aside" in shown.output
    written = json.loads((home.run("moving_shapes", "phase2").parent / "fallbacks" / f"{name}.json").read_text())
    assert written["schema"] == "foresight.fallback_verdict/1"
    assert DecisionLog(Store(home.database)).latest(2, dataset="moving_shapes") is None


def test_json_is_the_document_that_was_written(home):
    printed = json.loads(CliRunner().invoke(app, ["fallback", "semantic", "--json"]).stdout)
    assert printed == json.loads((home.root / "runs/moving_shapes/fallbacks/semantic.json").read_text())


@pytest.mark.parametrize(
    ("name", "says"), [("spatial", "there are semantic, vlm_only"), ("/no/such.yaml", "cannot be")]
)
def test_wrong_input_is_one_line_and_exit_2(home, name, says):
    ended = CliRunner().invoke(app, ["fallback", name])
    assert ended.exit_code == 2
    assert says in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
