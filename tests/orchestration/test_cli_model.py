"""`foresight model describe`: every component and every promise, with a verdict, as tables and as one document."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from models.describe import inference
from orchestration.cli.app import app
from orchestration.plan.programme import load as programme
from orchestration.profile import PROFILES
from orchestration.system.description import NOTES
from orchestration.system.promised import Line

TABLES = ("trainable", "memory", "storage", "gpu_hours")


def describe(*arguments: str):
    return CliRunner().invoke(app, ["model", "describe", *arguments])


def documented(*arguments: str):
    done = describe(*arguments, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["schema"] == "foresight.model/1"
    return document


def line(document, table: str, name: str, **said):
    (found,) = (one for one in document[table] if one["name"] == name and all(one[key] == said[key] for key in said))
    return found


@pytest.fixture(scope="module")
def a100():
    return documented("--profile", "a100")


@pytest.fixture(scope="module")
def laptop():
    return documented("--profile", "laptop")


def test_the_a100s_components_are_the_proposals(a100):
    assert {one["name"]: one["parameters"] for one in a100["components"]} == {
        "Qwen2.5-VL": 8_292_166_656,
        "DINOv2": 1_136_480_768,
        "LTX transformer": 1_923_385_472,
        "LTX VAE": 419_193_649,
        "T5": 4_762_310_656,
        "fusion": 24_716_689,
        "LoRA, rank 16": 14_680_064,
    }
    frozen = [one for one in a100["components"] if "frozen" in one["role"]]
    assert {one["source"] for one in frozen} == {"published sizes"}
    trained = {phase: line(a100, "trainable", f"Phase {phase}")["value"] for phase in (1, 2, 3)}
    assert trained == {1: 24_716_689, 2: 24_716_689, 3: 24_716_689 + 14_680_064 + 8 * 4096}
    assert "inside the 15-25M" in line(a100, "trainable", "fusion")["note"]


def test_the_a100_fits_its_memory_without_checkpointing(a100):
    """As config/profiles/a100.yaml says beside the switch."""
    promised = programme().budget.vram_gb
    for phase in (1, 2, 3):
        found = line(a100, "memory", f"Phase {phase}")
        assert (found["cap"], found["section"], found["verdict"]) == (promised.training, "3.1", "within")
        assert found["value"] == pytest.approx(sum(found["parts"].values()))
    assert "gradient checkpointing off" in line(a100, "memory", "Phase 3")["note"]
    caps = {one["section"]: (one["cap"], one["verdict"]) for one in a100["memory"] if one["name"] == "inference"}
    assert caps == {"3.1": (33, "within"), "6.4": (48, "within")}


def test_100_000_clips_are_over_d2_in_float16_and_over_31_unless_in_int8(a100):
    def verdicts(precision: str) -> dict[str, str]:
        found = [one for one in a100["storage"] if one["name"].startswith(f"dinov2 in {precision}")]
        return {one["section"]: one["verdict"] for one in found if one["note"].startswith("100,000 clips")}

    assert verdicts("float16") == {"D.2": "over", "3.1": "over"}
    assert verdicts("int8") == {"D.2": "over", "3.1": "within"}
    assert line(a100, "storage", "latents in float16 as stored", note="896 clips of 25,088 bytes")["cap"] == 100


def test_what_the_profile_may_reserve_is_held_against_d2(a100):
    hours = {one["name"]: one for one in a100["gpu_hours"] if one["section"] == "D.2"}
    assert {name: (one["value"], one["cap"]) for name, one in hours.items()} == {
        "Phase 1": (48, 80),
        "Phase 2": (48, 100),
        "Phase 3": (48, 120),
        "all": (144, 300),
    }
    assert hours["all"]["parts"] == {"usd": 288}
    assert line(a100, "gpu_hours", "all", section="3.1")["cap"] == 200


def test_as_written_is_shown_over_the_budget(a100, monkeypatch):
    monkeypatch.setattr(inference, "inference", lambda *_: {"dinov2": inference.Part(1, 1)})  # says nothing of a fusion
    found = documented("--profile", "a100", "--fusion", "as_written")
    fusion = line(found, "trainable", "fusion")
    assert found["fusion"].startswith("as_written: qformer, dim 1024")
    assert fusion["value"] == pytest.approx(56.9e6, abs=0.05e6)
    assert (fusion["cap"], fusion["section"], fusion["verdict"]) == (50_000_000, "2.2", "over")
    for table in ("trainable", "memory"):
        without = line(found, table, "Phase 2")
        assert (without["value"], without["verdict"]) == (None, "unknown")
        assert "no caption tokens" in without["note"]
    assert line(found, "memory", "Phase 1")["value"] > line(a100, "memory", "Phase 1")["value"]


def test_a_profile_with_folders_says_what_lies_there(laptop):
    assert laptop["standins"] is True
    assert all(
        one["source"] == f"models/standins/weights/{name}"
        for one, name in zip(laptop["components"], ("qwen", "dinov2", "ltx", "vae", "ltx"), strict=False)
    )
    assert sum(one["parameters"] for one in laptop["components"]) < 20_000_000
    assert {one["verdict"] for table in TABLES for one in laptop[table]} <= {"within", "over"}


def test_every_line_says_against_what(laptop):
    for table in TABLES:
        for one in laptop[table]:
            assert one["verdict"] in ("within", "over", "unknown")
            assert one["section"]


def test_people_read_it_in_100_columns():
    done = describe("--profile", "laptop", "--fusion", "perceiver")
    assert done.exit_code == 0
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert max(map(len, lines)) <= 100
    text = " ".join(done.stdout.split())
    for title in ("Components", "Trained parameters", "GPU memory, estimated, GB", "Storage, GB", "GPU-hours"):
        assert title in lines
    assert "fusion perceiver, dim 192" in text
    assert all(" ".join(note.split()) in text for note in NOTES)


def test_what_cannot_be_described_is_one_line(tmp_path):
    unknown = describe("--fusion", "big")
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (2, 1)
    assert "there are proposed, as_written, qformer, concat, film, perceiver" in unknown.stderr
    table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
    table["clips"]["size"] = 60
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(table))
    odd = describe("--profile", str(path))
    assert (odd.exit_code, odd.stderr.count("\n")) == (2, 1)
    assert "clips of 60x60 pixels do not tile" in odd.stderr


def test_a_verdict_needs_a_number_and_a_budget():
    verdicts = [
        Line("x", value, "GB", cap, "3.1").verdict for value, cap in ((1, 2), (2, 2), (3, 2), (None, 2), (1, None))
    ]
    assert verdicts == ["within", "within", "over", "unknown", "unknown"]
