"""The premise audit of a whole run, small: what it leaves, and that one cell made again leaves the others."""

import json

import pytest

from tests.stack.conftest import foresight

pytestmark = pytest.mark.stack


def test_the_audit_ran_before_phase_1_and_says_that_it_was_made_with_stand_ins(programme):
    folder = programme / "runs" / "moving_shapes" / "premise"
    measured = json.loads((folder / "audit.json").read_text())
    assert measured["standins"] is True
    assert measured["localisation"]["mobile_sam"]["standin"] is False
    assert all(one["standin"] for name, one in measured["localisation"].items() if name != "mobile_sam")
    assert {one["n"] for one in measured["alignment"]} == {56}
    assert "Made with stand-ins" in (folder / "page.html").read_text()
    assert list(json.loads((programme / "runs" / "times.json").read_text())).index("premise") == 5


def test_one_cell_made_again_leaves_the_others(programme, small_profile):
    folder = programme / "runs" / "moving_shapes" / "premise"
    cells = {path.name: path.read_bytes() for path in (folder / "cells").iterdir()}
    features = (folder / "features" / "qwen_premerge.safetensors").stat().st_mtime_ns
    (folder / "cells" / "qwen_premerge.json").unlink()
    (folder / "result.json").unlink()
    again = foresight(programme, "experiment", "premise", "--profile", str(small_profile), "--json")
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert found["decision"]["verdict"] == "open"
    assert "stand-ins, which decide nothing of profile small" in found["decision"]["claims"][0]["why"]
    after = {path.name: path.read_bytes() for path in (folder / "cells").iterdir()}
    assert {name for name in cells if cells[name] != after[name]} == {"qwen_premerge.json"}, "but for its MLflow run"
    kept = ("fingerprint", "bbox_iou", "map50")
    before, now = json.loads(cells["qwen_premerge.json"]), json.loads(after["qwen_premerge.json"])
    assert [before[name] for name in kept] == [now[name] for name in kept]
    assert (folder / "features" / "qwen_premerge.safetensors").stat().st_mtime_ns == features


def test_the_audit_has_an_experiment_with_a_nested_run_for_each_cell(programme):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{programme / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("0 premise audit")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    nested = {run.info.run_name for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert nested == {
        *("qwen_postmerge", "qwen_premerge", "qwen_premerge_as_returned", "dinov2", "mobile_sam", "alignment"),
    }
    assert all(run.data.tags["standins"] == "true" for run in runs)
