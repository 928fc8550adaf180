"""A whole run, small: what it leaves, that it is not made twice, and that its gates held."""

import json
import time

import pytest

from tests.stack.conftest import foresight

pytestmark = pytest.mark.stack


def test_every_phase_has_its_evaluation_its_decision_and_its_override(programme):
    for phase in (1, 2, 3):
        shown = json.loads(foresight(programme, "gate", "show", str(phase), "--json").stdout)["decision"]
        assert shown["phase"] == phase
        assert shown["verdict"] != "GO", "three steps cannot reach the proposal's thresholds"
        assert all(row["why"] for row in shown["criteria"])
    log = foresight(programme, "gate", "log")
    assert log.returncode == 0, log.stderr
    assert "three steps train nothing" in log.stdout


def test_an_evaluation_says_that_it_was_made_with_stand_ins(programme):
    document = json.loads((programme / "runs" / "moving_shapes" / "phase2" / "evaluation.json").read_text())
    assert document["standins"] is True
    assert set(document["arms"]) == {"hybrid", "vlm_only", "dino_only"}
    assert {"copy_last", "mean_frame", "vae_roundtrip", "shuffled"} <= set(document["baselines"])
    for name in ("without_semantic", "without_spatial"):
        lost = document["baselines"][name]
        assert {"lpips", "spatial_iou", "temporal_ordering", "semantic_consistency"} <= set(lost)
        assert lost["lpips"]["n"] == document["n_clips"]
        assert lost["temporal_ordering"]["protocol"].endswith("fitted with both streams")
    for metric in document["metrics"].values():
        assert metric["protocol"]
        assert metric["n"] > 0


def test_any_two_arms_of_a_run_can_be_compared_clip_by_clip(programme):
    def compared(*sides):
        done = foresight(programme, "status", "--compare", *sides, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    document = json.loads((programme / "runs" / "moving_shapes" / "phase2" / "evaluation.json").read_text())
    clips = document["per_clip"]["clips"]
    assert set(clips) == set(document["arms"]) | set(document["baselines"])
    assert len(set(clips.values())) == 1
    found = compared("phase2/hybrid", "phase2/vlm_only")
    assert found["shared_clips"] == document["n_clips"]
    gains = {row["metric"]: row["difference"] for row in found["metrics"] if row["paired"]}
    told = document["arms"]["vlm_only"]
    assert gains["spatial_iou"] == pytest.approx(told["spatial_iou_gain"]["value"])
    assert gains["lpips"] == pytest.approx(-told["lpips_gain"]["value"])
    recorded = compared(document["runs"]["hybrid"], "phase2/hybrid")
    assert {row["difference"] for row in recorded["metrics"] if row["paired"]} == {0}


def test_decisions_and_overrides_are_copied_to_mlflow_and_dagster_once(programme, monkeypatch):
    from orchestration.home import Home
    from orchestration.instance import instance
    from orchestration.record.mirror import entries, strangers, to_dagster, to_mlflow
    from orchestration.record.opened import decisions

    home, log = Home(programme), decisions(Home(programme))
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster))
    assert {entry.kind for entry in entries(log)} == {"decision", "override"}
    assert to_mlflow(home, log) == []
    assert strangers(home, log) == []
    with instance(home) as own:
        assert to_dagster(home, log, own) == []


def test_a_second_run_makes_nothing_again(programme, small_profile):
    start = time.monotonic()
    again = foresight(
        programme, "run", "--data", "moving_shapes", "--profile", str(small_profile), "--json",
        "--override-by", "test", "--why", "three steps train nothing",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    stages = json.loads(again.stdout)["stages"]
    made = [stage["stage"] for stage in stages if stage["made"] and "gate" not in stage["stage"]]
    assert not [stage for stage in made if "report" not in stage], f"made again: {made}"
    assert time.monotonic() - start < 120


def test_the_report_stands_alone_and_names_the_verdict(programme, tmp_path):
    out = tmp_path / "report.html"
    assert foresight(programme, "report", "--out", str(out)).returncode == 0
    page = out.read_text()
    assert "stand-in" in page.lower()
    assert "three steps train nothing" in page
    assert 'src="http' not in page
    assert "data:image/png;base64," in page


def test_a_phase_without_clearance_is_refused(tmp_path, small_profile):
    home = tmp_path / "home"
    run = foresight(home, "run", "--data", "moving_shapes", "--profile", str(small_profile))
    assert run.returncode == 3
    assert run.stderr.startswith("foresight: ")
    assert len(run.stderr.strip().splitlines()) == 1
    assert not (home / "runs" / "moving_shapes" / "phase2" / "result.json").exists()


def test_the_feature_cache_is_measured_with_its_effect_on_phase_1_and_left_alone(programme):
    def times():
        return {path: path.stat().st_mtime_ns for path in (programme / "data").rglob("*") if path.is_file()}

    before = times()
    done = foresight(programme, "bench", "cache", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["close_enough"]
    assert set(document["phase1"]) == {"lpips", "spatial_iou"}
    for effect in document["phase1"].values():
        assert effect["difference"]["n"] > 0
        assert effect["difference"]["value"] == pytest.approx(effect["int8"]["value"] - effect["float16"]["value"])
    assert times() == before
