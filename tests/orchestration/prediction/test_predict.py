"""`foresight predict`: files with pins, equal seeds with equal frames, verdicts, batches, and refusals of one line."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from models.data.video import decode, write_lossless
from orchestration.cli.app import app
from orchestration.home import Home
from orchestration.prediction.document import PredictionDocument

CLIP = "heldout-000000"
FILES = ["predicted_standins.mp4", "conditioning_standins.safetensors", "beside_standins.mp4", "frames_standins.png"]


def call(home, *arguments, **environment):
    runner = CliRunner(env={"FORESIGHT_HOME": str(home.root), **environment})
    return runner.invoke(app, ["predict", *map(str, arguments)])


def one_line(found, code: int) -> str:
    assert found.exit_code == code, found.output
    (line,) = found.stderr.strip().splitlines()[-1:]
    return line


@pytest.fixture(scope="module")
def predicted(home, tmp_path_factory):
    out = tmp_path_factory.mktemp("predicted")
    found = call(home, CLIP, "--out", out, "--verify", "--seed", 5, "--json")
    assert found.exit_code == 0, found.output
    return out, json.loads(found.stdout)


@pytest.fixture
def film(home, tmp_path):
    """A held-out clip as a file."""
    from models.data.shards import ClipShards

    frames = ClipShards(home.workspace("moving_shapes") / "shards").frames([CLIP])[0]
    (tmp_path / "films").mkdir()
    write_lossless(tmp_path / "films" / "film.mkv", frames)
    return tmp_path / "films" / "film.mkv"


def test_the_document_pins_what_it_was_made_with(home, predicted):
    out, document = predicted
    assert document == json.loads((out / "prediction.json").read_text())
    made = PredictionDocument.model_validate(document)
    assert made.standins
    assert (made.horizon.context_frames, made.horizon.predicted_frames, made.sampling.seed) == (7, 2, 5)
    assert set(made.pins.weights) == {"dinov2", "qwen", "vae", "ltx"}
    state = json.loads((home.root / made.pins.checkpoint / "state.json").read_text())
    assert made.pins.checkpoint_sha256 == state["fingerprint"]
    assert state["identity"]["config"]["horizon"] == {"frames": 9, "context": 7, "step": 2}
    assert any("stand-ins" in note for note in made.notes)
    assert any("last latent frame's error" in note for note in made.notes)


def test_every_file_is_there_and_holds_what_it_says(predicted):
    out, document = predicted
    assert set(document["files"]) == {*FILES, "difference_standins.png"}
    assert sorted(file.name for file in out.iterdir()) == sorted([*document["files"], "prediction.json"])
    film, beside = decode(out / FILES[0]), decode(out / FILES[2])
    assert film.frames.shape == (9, 64, 64, 3)
    assert beside.frames.shape == (9, 64, 128, 3)
    tensors = load_file(out / FILES[1])
    assert tensors["latent_tokens"].shape == (5, 64, 64)
    assert tensors["latents"].shape == (64, 5, 8, 8)
    assert (out / "difference_standins.png").read_bytes().startswith(b"\x89PNG")


def test_components_have_their_time_beside_the_proposals(predicted):
    _, document = predicted
    latency = document["latency"]
    assert latency["components"]["qwen"]["proposed_s"] == 0.4
    assert latency["proposed_serial_s"] == 1.4
    assert latency["proposed_parallel_s"] == 1.25
    whole = ("qwen", "dinov2", "fusion", "generation")
    assert latency["serial_s"] == pytest.approx(sum(latency["components"][name]["seconds"] for name in whole))
    assert set(latency["devices"].values()) == {"cpu"}


def test_a_verdict_stands_with_its_line(home, predicted):
    verified = predicted[1]["verification"]
    calibration = json.loads((home.run("moving_shapes", "predictor") / "verification.json").read_text())
    assert verified["measure"] == calibration["measure"]
    assert verified["low"] <= verified["threshold"] <= verified["high"]
    assert verified["verdict"] in ("agrees", "differs", "uncertain")
    assert "AlexNet" in verified["kin"]
    errors = json.loads((home.run("moving_shapes", "predictor") / "errors.json").read_text())["errors"]
    assert set(errors) == {"fusion", "ltx", "mean", "copy_last", "extrapolated"}
    assert all(len(steps) == 1 and steps[0]["n"] == 16 for steps in errors.values())


def test_the_same_seed_gives_the_same_bytes_from_the_file_and_from_the_store(home, predicted, film, tmp_path):
    found = call(home, film, "--out", tmp_path, "--seed", 5, "--json")
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert document["clip"]["source"] == "file"
    assert document["frames_sha256"] == predicted[1]["frames_sha256"]
    assert [(tmp_path / name).read_bytes() for name in FILES[:2]] == [
        (predicted[0] / name).read_bytes() for name in FILES[:2]
    ]


def test_another_seed_gives_another_future_and_a_lost_stream_is_said(home, predicted, tmp_path):
    found = call(home, CLIP, "--out", tmp_path, "--seed", 6, "--without", "qwen")
    assert found.exit_code == 0, found.output
    assert "qwen was not there" in found.stdout
    document = json.loads((tmp_path / "prediction.json").read_text())
    assert document["frames_sha256"] != predicted[1]["frames_sha256"]
    assert document["streams_lost"] == {"qwen": "left out on request"}
    assert "qwen" not in document["latency"]["components"]
    latents, before = (load_file(folder / FILES[1])["latents"] for folder in (tmp_path, predicted[0]))
    np.testing.assert_array_equal(latents[:, :4], before[:, :4])
    assert np.abs(latents[:, 4] - before[:, 4]).max() > 0.01
    assert "no such stream" in one_line(call(home, CLIP, "--out", tmp_path, "--without", "sam"), 2)


def test_at_its_end_a_film_has_no_outcome(home, film, tmp_path):
    found = call(home, film, "--out", tmp_path / "made", "--at-end", "--json")
    document = json.loads(found.stdout)
    assert document["clip"]["first_frame"] == 2
    assert document["verification"] is None
    assert FILES[2] not in document["files"]
    assert "give one of them" in one_line(call(home, film, "--out", tmp_path, "--at-end", "--verify"), 2)


def test_a_folder_is_foretold_clip_by_clip_and_a_bad_clip_stops_none(home, film, tmp_path):
    (film.parent / "broken.mp4").write_bytes(b"no video")
    write_lossless(film.parent / "short.mkv", decode(film).frames[:7])
    found = call(home, film.parent, "--out", tmp_path / "made", "--verify", "--json")
    assert "1 clips of" in one_line(found, 1)
    document = json.loads(found.stdout)
    verified = {name: one["verification"] is not None for name, one in document["clips"].items()}
    assert verified == {"film.mkv": True, "short.mkv": False}
    assert set(document["failed"]) == {"broken.mp4"}
    assert (tmp_path / "made" / "film.mkv" / "prediction.json").is_file()
    assert not (tmp_path / "made" / "broken.mp4").exists()


def test_what_is_missing_is_named_with_the_command_that_makes_it(home, tmp_path):
    line = one_line(call(Home(tmp_path), CLIP, "--out", tmp_path / "made"), 2)
    assert "foresight run --data moving_shapes --until predictor" in line
    assert "trained on" in one_line(call(home, "train-000000", "--out", tmp_path / "made"), 2)
    assert "no such file" in one_line(call(home, "nothing.mp4", "--out", tmp_path / "made"), 2)
    assert "give a clip and --out" in one_line(call(home), 2)
    assert not (tmp_path / "made").exists()


def test_a_short_film_has_no_outcome_to_verify(home, film, tmp_path):
    write_lossless(tmp_path / "short.mkv", decode(film).frames[:7])
    line = one_line(call(home, tmp_path / "short.mkv", "--out", tmp_path / "made", "--verify"), 2)
    assert "--verify needs 9 frames" in line


def test_an_encoder_whose_weights_are_gone_is_a_lost_stream(home, tmp_path):
    import yaml

    from orchestration.home import REPOSITORY

    profile = yaml.safe_load((REPOSITORY / "config" / "profiles" / "laptop.yaml").read_text())
    profile["weights"]["qwen"] = str(tmp_path / "nowhere")
    (tmp_path / "gone.yaml").write_text(yaml.safe_dump(profile))
    found = call(home, CLIP, "--out", tmp_path / "made", "--profile", tmp_path / "gone.yaml", "--json")
    assert found.exit_code == 0, found.output
    assert "nowhere" in json.loads(found.stdout)["streams_lost"]["qwen"]
    profile["weights"]["vae"] = str(tmp_path / "nowhere")
    (tmp_path / "gone.yaml").write_text(yaml.safe_dump(profile))
    line = one_line(call(home, CLIP, "--out", tmp_path / "other", "--profile", tmp_path / "gone.yaml"), 2)
    assert "vae" in line
