"""`foresight explain`: a file and its stored clip give the same answer, and what cannot be explained is said in one
line.
"""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from models.data.video import write_lossless
from orchestration.cli.app import app
from orchestration.explanation.document import Explanation
from orchestration.explanation.explain import ARRAYS, DOCUMENT

CLIP = "heldout-000000"


def call(home, *arguments):
    return CliRunner(env={"FORESIGHT_HOME": str(home.root)}).invoke(app, ["explain", *map(str, arguments)])


@pytest.fixture(scope="module")
def explained(home, tmp_path_factory):
    out = tmp_path_factory.mktemp("explained")
    found = call(home, CLIP, "--out", out, "--cell", "2,3,4", "--json")
    assert found.exit_code == 0, found.output
    return out, json.loads(found.stdout)


def test_the_document_names_what_it_was_made_with(home, explained):
    out, document = explained
    assert document == json.loads((out / DOCUMENT).read_text())
    assert Explanation.model_validate(document).standins
    assert document["clip"]["source"] == "held-out"
    assert (home.root / document["pins"]["checkpoint"] / "state.json").is_file()
    assert set(document["pins"]["weights"]) == {"dinov2", "qwen"}
    assert any("stand-ins" in note for note in document["notes"])


def test_every_figure_is_there_and_bears_what_made_it(explained):
    out, document = explained
    names = ["stream_share", "stream_layers", "attention", "pca"]
    assert document["figures"] == [f"{name}_standins.png" for name in names]
    assert all((out / figure).read_bytes().startswith(b"\x89PNG") for figure in document["figures"])


def test_numbers_and_arrays_agree(explained):
    out, document = explained
    arrays, share = np.load(out / ARRAYS), document["share"]
    moved = arrays["moved_cells"]
    assert moved.shape == (5, 8, 8, 2)
    np.testing.assert_allclose(share["by_cell"], moved[..., 1] / moved.sum(-1), rtol=1e-5)
    assert share["cells"] == pytest.approx(moved[..., 1].sum() / moved.sum())
    assert share["moved_without_spatial"] == pytest.approx(moved[..., 0].mean())
    attended, query = document["attention"]["cell 2,3,4"], (2 * 8 + 3) * 8 + 4
    assert attended["cell"] == [2, 3, 4]
    assert arrays["attention_spatial"].shape == (2, 5 * 64 + 8, 5, 8, 8)
    assert attended["spatial"] == pytest.approx(arrays["attention_spatial"][:, query].mean(0).sum(), rel=1e-4)
    assert attended["spatial"] + attended["semantic"] == pytest.approx(1, rel=1e-4)
    assert len(document["layers"]) == 2
    assert arrays["pca_qwen"].shape == (5, 4, 4, 3)


def test_a_file_is_encoded_as_the_stored_clip_was(home, explained, tmp_path):
    path = next(home.workspace("moving_shapes").rglob(f"{CLIP}.mkv"))
    found = call(home, path, "--out", tmp_path, "--json")
    assert found.exit_code == 0, found.output
    document, stored = json.loads(found.stdout), explained[1]
    assert (document["clip"]["source"], document["clip"]["sha256"]) == ("file", stored["clip"]["sha256"])
    np.testing.assert_allclose(document["share"]["by_cell"], stored["share"]["by_cell"], rtol=1e-3)


def test_an_arm_with_one_stream_has_nothing_to_share(home, tmp_path):
    (tmp_path / "stream_share_standins.png").write_text("of another clip")
    document = json.loads(call(home, CLIP, "--arm", "dino_only", "--out", tmp_path, "--json").stdout)
    assert document["share"] is None
    assert list(document["pca"]) == ["dinov2"]
    assert {path.name for path in tmp_path.iterdir()} == {*document["figures"], ARRAYS, DOCUMENT}
    assert any("nothing to share" in note for note in document["notes"])


def test_a_fusion_without_attention_says_so_and_has_its_share(home, tmp_path):
    found = call(home, CLIP, "--phase", 3, "--out", tmp_path)
    assert found.exit_code == 0, found.output
    document = json.loads((tmp_path / DOCUMENT).read_text())
    assert (document["fusion"], document["attention"]) == ("concat", None)
    assert 0 <= document["share"]["cells"] <= 1
    assert len(document["layers"]) == 1
    assert "a concat fusion has no attention" in found.stdout
    assert "what the generator makes of it is not attributed" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((CLIP, "--phase", 1), "no checkpoint of phase 1; train it with `foresight run`"),
        ((CLIP, "--arm", "vlm_only"), "phase 2 has no arm 'vlm_only'; it trained hybrid, dino_only"),
        (("train-000001",), "train-000001: a clip that was trained on; give a held-out one, as heldout-000000"),
        (("nowhere.mp4",), "nowhere.mp4: no such file, and no held-out clip of moving_shapes"),
        ((CLIP, "--cell", "5,0,0"), "cell 5,0,0: outside; FRAME,ROW,COLUMN lie below 5,8,8"),
        ((CLIP, "--cell", "2,3"), "--cell '2,3': give latent frame, row and column"),
    ],
)
def test_what_cannot_be_explained_is_one_line_and_leaves_nothing(home, tmp_path, arguments, says):
    found = call(home, *arguments, "--out", tmp_path / "out")
    assert found.exit_code == 2
    assert found.stderr.splitlines()[-1].startswith("foresight: ")
    assert says in found.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_clips_that_cannot_be_used_are_one_line(home, tmp_path):
    write_lossless(tmp_path / "short.mkv", np.zeros((5, 64, 64, 3), np.uint8))
    (tmp_path / "text.mp4").write_text("no video")
    for name, says in {"short.mkv": "too short: 5 frames, at least 9", "text.mp4": "unreadable"}.items():
        found = call(home, tmp_path / name, "--out", tmp_path / "out")
        assert found.exit_code == 2
        assert found.stderr.splitlines()[-1].startswith(f"foresight: {tmp_path / name}: {says}")
    found = call(home, CLIP, "--out", tmp_path / "text.mp4")
    assert (found.exit_code, (tmp_path / "text.mp4").read_text()) == (2, "no video")


def test_other_encoders_than_the_training_had_are_refused(home, tmp_path):
    path = home.run("moving_shapes", "phase2") / "job.json"
    job = json.loads(path.read_text())
    changed = job | {"weights": job["weights"] | {"qwen": "0" * 64}}
    try:
        path.write_text(json.dumps(changed))
        found = call(home, CLIP, "--out", tmp_path / "out")
    finally:
        path.write_text(json.dumps(job))
    assert found.exit_code == 2
    assert "the phase was trained on 000000000000" in found.stderr
