"""Two runs compared clip by clip: what is said, and what is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from orchestration.cli.status import status
from orchestration.compare import clip_values, sides
from orchestration.compare.paired import CompareError, Side, compare
from orchestration.documents import parse_evaluation
from orchestration.home import Home
from orchestration.plan.programme import load
from tests.orchestration.evaluations import PROTOCOL, document, metric

PROGRAMME = load()
N = 60
CLIPS = {f"clip{number:03}": f"frames {number}" for number in range(N)}
HARD = np.random.default_rng(0).uniform(0.2, 0.9, N)
Values = dict[str, dict[str, np.ndarray]]


def values() -> Values:
    """The hybrid is better than DINO-only by little on every clip, in both directions of better."""
    noise = np.random.default_rng(1).normal(0, 0.004, N)
    return {
        "hybrid": {"spatial_iou": HARD, "lpips": 1 - HARD, "temporal_ordering": np.ones(N)},
        "dino_only": {"spatial_iou": HARD - 0.02 + noise, "lpips": 1.02 - HARD, "temporal_ordering": np.ones(N)},
        "vae_roundtrip": {"spatial_iou": HARD + 0.05, "lpips": 0.9 - HARD},
    }


def leave(folder: Path, measured: Values | None = None, clips: dict[str, str] | None = None, **changes: Any) -> Path:
    """An evaluation with its per-clip values, as a run leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = measured or values()
    pinned = clip_values.write(folder, clips or CLIPS, measured)
    said = {
        arm: {name: metric(float(np.mean(one)), n=len(one)) for name, one in metrics.items()}
        for arm, metrics in measured.items()
    }
    body = document(2) | {"metrics": said["hybrid"] | {"fvd": metric(90.0)}, "n_clips": N, "runs": {"hybrid": "f" * 32}}
    body["arms"] = {arm: said[arm] for arm in ("hybrid", "dino_only")}
    body["baselines"] = {"vae_roundtrip": said["vae_roundtrip"]}
    body |= {"per_clip": pinned.document()} | changes
    (folder / "evaluation.json").write_text(json.dumps(parse_evaluation(body).document()))
    return folder / "evaluation.json"


def side(path: Path, arm: str = "hybrid") -> Side:
    return sides.find(Home(path.parent), "moving_shapes", f"{path}/{arm}")


def rows(found: dict[str, Any]) -> dict[str, Any]:
    return {row["metric"]: row for row in found["metrics"]}


def test_pairs_tell_apart_what_two_intervals_cannot_whatever_the_direction(tmp_path: Path) -> None:
    path = leave(tmp_path)
    found = compare(side(path), side(path, "dino_only"), PROGRAMME)
    row = rows(found)
    assert (row["spatial_iou"]["better"], row["lpips"]["better"]) == ("first", "first")
    assert row["spatial_iou"]["difference"] == pytest.approx(0.02, abs=0.003)
    assert row["lpips"]["difference"] == pytest.approx(-0.02)
    assert row["lpips"]["says"] == "first better"
    assert (row["temporal_ordering"]["better"], row["temporal_ordering"]["says"]) == (None, "not told apart")
    assert row["temporal_ordering"]["low"] < 0 < row["temporal_ordering"]["high"], "all right on both leaves a doubt"
    assert (found["shared_clips"], row["lpips"]["n"]) == (N, N)
    assert "made with stand-ins" in found["notes"]


def test_the_numbers_are_those_of_a_paired_difference(tmp_path: Path) -> None:
    from models.evaluation.metric import paired_difference

    path, measured = leave(tmp_path), values()
    expected = paired_difference(measured["hybrid"]["spatial_iou"], measured["dino_only"]["spatial_iou"])
    row = rows(compare(side(path), side(path, "dino_only"), PROGRAMME))["spatial_iou"]
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((expected.value, expected.low, expected.high))


def test_a_number_of_the_whole_set_is_not_paired_and_says_so(tmp_path: Path) -> None:
    paths = leave(tmp_path / "one"), leave(tmp_path / "two")
    row = rows(compare(*(side(path) for path in paths), PROGRAMME))["fvd"]
    assert (row["paired"], row["difference"], row["better"]) == (False, None, None)
    assert row["says"].startswith("not paired")
    assert row["first"] == row["second"] == 90


def test_only_shared_clips_count_and_the_rest_is_said(tmp_path: Path) -> None:
    other = {clip.replace("clip00", "else00"): frames for clip, frames in CLIPS.items()}
    paths = leave(tmp_path / "one"), leave(tmp_path / "two", clips=other)
    found = compare(*(side(path) for path in paths), PROGRAMME)
    assert (found["shared_clips"], rows(found)["lpips"]["n"]) == (N - 10, N - 10)
    assert sum("10 of its 60 clips are not in the other" in note for note in found["notes"]) == 2


def test_a_clip_undefined_on_one_side_does_not_count(tmp_path: Path) -> None:
    measured = values()
    measured["hybrid"]["spatial_iou"] = np.where(np.arange(N) < 5, np.nan, HARD)
    measured["hybrid"]["lpips"] = np.full(N, np.nan)
    measured["hybrid"]["lpips"][:7] = 0.5
    path = leave(tmp_path, measured)
    row = rows(compare(side(path, "dino_only"), side(path, "vae_roundtrip"), PROGRAMME))
    assert row["spatial_iou"]["n"] == N
    body = json.loads(path.read_text())
    body["arms"]["hybrid"] = {name: metric(0.5, n=N) for name in body["arms"]["hybrid"]}
    path.write_text(json.dumps(body))
    row = rows(compare(side(path), side(path, "dino_only"), PROGRAMME))
    assert row["spatial_iou"]["n"] == N - 5
    assert (row["lpips"]["better"], row["lpips"]["says"]) == (None, "not told apart: 7 clips are below 20")


def test_other_protocols_and_other_judges_are_not_compared(tmp_path: Path) -> None:
    one, two = leave(tmp_path / "one"), leave(tmp_path / "two")
    body = json.loads(two.read_text())
    body["arms"]["hybrid"]["lpips"]["protocol"] = "another"
    body["weights"] |= {"segmenter": "other"}
    two.write_text(json.dumps(body))
    row = rows(compare(side(one), side(two), PROGRAMME))
    assert (row["lpips"]["paired"], row["lpips"]["difference"]) == (False, None)
    assert row["lpips"]["says"] == f"not compared: the first by {PROTOCOL!r}, the second by 'another'"
    assert row["spatial_iou"]["says"] == "not compared: read with other weights of segmenter"


def test_other_data_versions_are_said_and_other_frames_are_refused(tmp_path: Path) -> None:
    one = leave(tmp_path / "one")
    said = compare(side(one), side(leave(tmp_path / "two", data_version="data-2")), PROGRAMME)["notes"]
    assert any("other data versions (data-1, data-2)" in note for note in said)
    frames = CLIPS | {"clip007": "others"}
    with pytest.raises(CompareError, match="1 of 60 clips, the first clip007, show other frames"):
        compare(side(one), side(leave(tmp_path / "three", clips=frames)), PROGRAMME)
    apart = {f"x{clip}": frames for clip, frames in CLIPS.items()}
    with pytest.raises(CompareError, match="share no held-out clip"):
        compare(side(one), side(leave(tmp_path / "four", clips=apart)), PROGRAMME)


def test_standins_and_real_weights_are_refused(tmp_path: Path) -> None:
    one, two = leave(tmp_path / "one"), leave(tmp_path / "two", standins=False)
    with pytest.raises(CompareError, match="made with stand-ins, the other with real weights"):
        compare(side(one), side(two), PROGRAMME)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-0.1, 0.1))
def test_turned_round_it_says_the_same_of_the_other(tmp_path_factory: Any, seed: int, shift: float) -> None:
    rng, measured = np.random.default_rng(seed), copy.deepcopy(values())
    measured["dino_only"]["lpips"] = measured["hybrid"]["lpips"] + shift + rng.normal(0, 0.05, N)
    measured["dino_only"]["temporal_ordering"] = (rng.random(N) < 0.9).astype(float)
    path = leave(tmp_path_factory.mktemp("pair"), measured)
    there, back = (
        rows(compare(side(path, one), side(path, two), PROGRAMME))
        for one, two in (("hybrid", "dino_only"), ("dino_only", "hybrid"))
    )
    turned = {"first": "second", "second": "first", None: None}
    for name in ("lpips", "temporal_ordering"):
        assert there[name]["difference"] == pytest.approx(-back[name]["difference"])
    assert there["temporal_ordering"]["better"] == turned[back["temporal_ordering"]["better"]]
    assert there["temporal_ordering"]["low"] == pytest.approx(-back["temporal_ordering"]["high"])


def test_a_run_compared_with_itself_is_not_told_apart(tmp_path: Path) -> None:
    path = leave(tmp_path)
    found = compare(side(path), side(path), PROGRAMME)
    assert {row["better"] for row in found["metrics"]} == {None}


# -- the command

app = typer.Typer()
app.command()(status)


def foresight(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    leave(tmp_path / "home" / "runs" / "moving_shapes" / "phase2")
    return tmp_path / "home"


def test_the_command_prints_one_document(home: Path) -> None:
    result = foresight("--compare", "phase2/hybrid", "phase2/vae_roundtrip", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    body = json.loads(result.stdout)
    assert body["schema"] == "foresight.comparison/1"
    assert (body["first"]["arm"], body["second"]["arm"]) == ("hybrid", "vae_roundtrip")
    assert rows(body)["spatial_iou"]["better"] == "second"


def test_the_command_reads_well_in_100_columns(home: Path) -> None:
    result = foresight("--compare", "phase2", f"{home}/runs/moving_shapes/phase2/evaluation.json/dino_only")
    assert result.exit_code == 0
    assert max(len(line) for line in result.stdout.splitlines()) <= 100
    for text in ("A = phase2 (hybrid of phase 2", "A better", "not told apart", f"{N} shared held-out clips", "+0.0"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("phase2/sam_only", "no sam_only in the evaluation of phase 2; there are hybrid, dino_only, vae_roundtrip"),
        ("phase3", "cannot be read"),
        ("nothing", "no phase, no document and no run"),
        ("abcdef", "holds no runs"),
    ],
)
def test_what_cannot_be_found_is_wrong_input_in_one_line(home: Path, asked: str, said: str) -> None:
    result = foresight("--compare", "phase2", asked)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert said in result.stderr


def test_a_run_is_found_in_mlflow_by_the_start_of_its_id(home: Path) -> None:
    import mlflow

    from orchestration.tracking import EXPERIMENTS, Run, connect, experiment

    where, path = Home(home), home / "runs" / "moving_shapes" / "phase2" / "evaluation.json"
    connect(where)
    experiment(where, EXPERIMENTS[2])
    with mlflow.start_run(tags={"dataset": "moving_shapes"}) as run:
        body = json.loads(path.read_text()) | {"runs": {"dino_only": run.info.run_id}}
        made = Run(run.info.run_id)
        made.document("evaluation.json", body)
        made.file(path.with_name(clip_values.FILE), "evaluation")
    with mlflow.start_run() as bare:
        pass
    result = foresight("--compare", run.info.run_id[:8], f"{run.info.run_id}/vae_roundtrip", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["first"]["arm"], found["first"]["run"]) == ("dino_only", run.info.run_id)
    assert found["second"]["arm"] == "vae_roundtrip"
    refused = foresight("--compare", "phase2", bare.info.run_id)
    assert (refused.exit_code, "carries no evaluation" in refused.stderr) == (2, True)
    assert "no run starts so" in foresight("--compare", "phase2", "0" * 32).stderr
