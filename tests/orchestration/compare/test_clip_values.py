"""The per-clip values of an evaluation: whole, pinned, and about the clips they say."""

import json
from pathlib import Path

import numpy as np
import pytest

from orchestration.compare import clip_values
from orchestration.compare.clip_values import ClipValuesError, identities
from orchestration.documents import Evaluation, parse_evaluation
from tests.orchestration.evaluations import document, evaluation

CLIPS = {"a": "1", "b": "2", "c": "3"}
VALUES = {
    "hybrid": {"lpips": np.array([0.1, np.nan, 0.3]), "lpips_vgg": np.array([0.2])},
    "vlm_only": {"lpips": np.array([0.4, 0.5, 0.6])},
}


def written(folder: Path) -> Evaluation:
    made = clip_values.write(folder, CLIPS, VALUES)
    return parse_evaluation(document(2) | {"per_clip": made.document()})


def test_what_was_written_is_read_back_clip_by_clip(tmp_path: Path) -> None:
    pinned = written(tmp_path)
    table = clip_values.read(pinned, tmp_path / "evaluation.json")
    assert tuple(table.columns) == clip_values.COLUMNS
    lpips = table[(table["arm"] == "hybrid") & (table["metric"] == "lpips")]
    assert lpips["clip_id"].tolist() == ["a", "b", "c"]
    assert lpips["clip_sha256"].tolist() == ["1", "2", "3"]
    assert lpips["value"].isna().tolist() == [False, True, False]
    assert table[table["metric"] == "lpips_vgg"]["clip_id"].tolist() == ["a"], "over the first clips alone"
    assert not list(tmp_path.glob("*.part"))


def test_arms_on_the_same_clips_have_one_hash(tmp_path: Path) -> None:
    same = clip_values.write(tmp_path, CLIPS, VALUES).clips
    assert same["hybrid"] == same["vlm_only"]
    short = VALUES | {"vlm_only": {"lpips": np.array([0.4, 0.5])}}
    other = clip_values.write(tmp_path, CLIPS, short).clips
    assert (other["hybrid"], other["hybrid"] == other["vlm_only"]) == (same["hybrid"], False)
    assert clip_values.write(tmp_path, CLIPS | {"c": "other frames"}, VALUES).clips["hybrid"] != same["hybrid"]


def test_a_clip_is_its_frames_and_their_shape() -> None:
    frames = np.arange(2 * 3 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 4, 3)
    named = identities(["a", "b"], frames)
    assert named["a"] != named["b"]
    assert identities(["z", "b"], frames)["z"] == named["a"]
    assert identities(["a", "b"], frames.reshape(2, 3, 2, 8, 3))["a"] != named["a"]


def test_a_file_that_is_gone_or_another_is_refused(tmp_path: Path) -> None:
    pinned, path = written(tmp_path), tmp_path / clip_values.FILE
    kept = path.read_bytes()
    path.write_bytes(kept + b"x")
    with pytest.raises(ClipValuesError, match=r"not the file that evaluation\.json pins"):
        clip_values.read(pinned, tmp_path / "evaluation.json")
    path.unlink()
    with pytest.raises(ClipValuesError, match="cannot be read"):
        clip_values.read(pinned, tmp_path / "evaluation.json")
    with pytest.raises(ClipValuesError, match="before per-clip values were kept"):
        clip_values.read(evaluation(2), tmp_path / "evaluation.json")


def test_a_document_from_before_keeps_its_hash(tmp_path: Path) -> None:
    assert "per_clip" not in evaluation(2).document()
    pinned = written(tmp_path)
    assert parse_evaluation(json.loads(json.dumps(pinned.document()))) == pinned
    assert pinned.sha256 != evaluation(2).sha256
