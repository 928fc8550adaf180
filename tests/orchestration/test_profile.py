"""A profile says what runs; what it may not say is refused by name."""

import pytest
import yaml

from orchestration.jobs import Job
from orchestration.profile import PROFILES, Profile, ProfileError, load, weights_folder
from orchestration.versioning import weights_sha256


@pytest.mark.parametrize("name", ["laptop", "a100"])
def test_the_profiles_that_are_shipped_are_whole(name):
    assert load(name).name == name


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(ProfileError, match="known: a100, laptop"):
        load("desktop")


def test_a_misspelt_number_does_not_become_a_default(tmp_path):
    table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
    table["phase1"]["learning_rates"] = 1
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(table))
    with pytest.raises(ProfileError, match="learning_rates"):
        load(str(path))


def test_routes_that_condition_nothing_are_refused_before_anything_runs(tmp_path):
    table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
    table["routes"] = {"latent_tokens": False, "cross_attention": False}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(table))
    with pytest.raises(ProfileError, match=r"all are off.* switch on latent_tokens"):
        load(str(path))


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("FORESIGHT_MODELS", raising=False)
    with pytest.raises(ProfileError, match="FORESIGHT_MODELS"):
        weights_folder("$FORESIGHT_MODELS/dinov2-giant")


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"workers": {"least": 3, "most": 2}}, "least: 3 is more than most: 2"),
        ({"workers": {"most": 9}}, "workers.most: 9 cannot share phase3's batch of 8"),
        ({"workers": {"most": 2}, "device": "cuda"}, "budget.gpus: 0 are reserved and workers.most is 2"),
        (
            {"workers": {"extraction": 3}, "device": "cuda", "budget": {"gpus": 1, "max_hours": 1}},
            "budget.gpus: 1 are reserved and workers.extraction is 3",
        ),
    ],
)
def test_workers_that_have_nothing_to_do_or_nobody_pays_for_are_refused(tmp_path, sections, said):
    table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(table | sections))
    with pytest.raises(ProfileError, match=said):
        load(str(path))


def test_the_gpus_of_several_workers_are_counted_and_the_job_that_leads_them_has_none(tmp_path):
    table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
    table |= {"device": "cuda", "budget": {"gpus": 4, "max_hours": 1}, "workers": {"most": 4, "extraction": 2}}
    given = {"gpus": [{"kind": "A100-80GB"}]}
    table["dispatch"] = {"backend": "ray", "stages": dict.fromkeys(("training", "extraction", "evaluation"), given)}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(table))
    profile = load(str(path))
    counted = {stage: profile.gpus_of_workers(stage) for stage in ("phase2", "qwen", "evaluate", "shards")}
    assert counted == {"phase2": 4, "qwen": 2, "evaluate": 0, "shards": 0}
    assert not profile.needs("phase2").gpus + profile.needs("qwen").gpus
    assert profile.needs("evaluate").gpus


def test_how_many_workers_is_part_of_no_result(tmp_path):
    """They learn the same, so what one trained need not be trained again by two."""
    table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(table | {"workers": {"most": 2}}))
    home, given = tmp_path / "home", {"data_versions": {}, "weights": {}, "code_commit": "0" * 40, "dataset": "toy"}
    places = {"home": home, "workspace": home / "data", "out": home / "out"}
    jobs = [Job(stage="phase1", phase=1, profile=load(name), **places, **given) for name in ("laptop", str(path))]
    assert jobs[0].fingerprint == jobs[1].fingerprint


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def profile(tmp_path):
    """The laptop profile with other weights of one name, as a user's file has it."""

    def load_with(name: str, weights: object) -> Profile:
        table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
        table["weights"][name] = weights
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(table))
        return load(str(path))

    return load_with


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "dinov2"
    made.mkdir()
    (made / "model.safetensors").write_bytes(b"12345678")
    (made / "config.json").write_text("{}")
    return made


def test_a_bare_source_and_one_with_its_pin_and_precision(profile, folder):
    from models.provenance import folder_sha256

    bare = profile("dinov2", str(folder))
    assert bare.weights.folder("dinov2") == folder
    assert bare.weights.precisions == {"dinov2": "float32", "qwen": "float32"}
    pinned = {"source": str(folder), "sha256": folder_sha256(folder), "precision": "bfloat16"}
    whole = profile("dinov2", pinned)
    assert whole.weights.folder("dinov2") == folder
    assert whole.weights.sha256("dinov2") == folder_sha256(folder)
    assert whole.weights.precisions == {"dinov2": "bfloat16", "qwen": "float32"}


@pytest.mark.parametrize("pin", ["0" * 64, {"model.safetensors": "0" * 64}], ids=["folder", "file"])
def test_weights_that_are_not_the_pinned_ones_are_refused_in_one_line(profile, folder, pin):
    pinned = profile("dinov2", {"source": str(folder), "sha256": pin})
    for asked in (pinned.weights.folder, pinned.weights.sha256):
        with pytest.raises(
            ProfileError, match=r"^weights of dinov2: .*not the pinned 0{64}; it is refused: restore it or pin this$"
        ):
            asked("dinov2")


def test_weights_changed_under_a_pin_are_seen_by_the_same_process(profile, folder):
    from models.provenance import folder_sha256

    weights = profile("dinov2", {"source": str(folder), "sha256": folder_sha256(folder)}).weights
    assert weights.folder("dinov2") == folder
    (folder / "model.safetensors").write_bytes(b"123456789")
    with pytest.raises(ProfileError, match="it is refused"):
        weights.folder("dinov2")


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:12], ""])
def test_a_revision_that_can_move_is_refused_when_the_profile_is_read(profile, revision):
    with pytest.raises(ProfileError, match=r"pin the commit, org/model@ and its 40 hexadecimal digits") as caught:
        profile("qwen", f"org/model@{revision}")
    assert "\n" not in str(caught.value)


def test_a_hub_without_a_revision_and_no_such_folder_are_refused_before_anything_runs(profile):
    with pytest.raises(
        ProfileError, match=r"weights of qwen: org/model: no such folder, and no revision is named; pin"
    ):
        profile("qwen", "org/model").weights.folder("qwen")
    with pytest.raises(ProfileError, match=r"weights of vae: /nowhere: no such folder; give a folder of weights"):
        profile("vae", "/nowhere").weights.folder("vae")


def test_a_hub_at_a_commit_gives_its_folder_with_the_pinned_bytes(profile, folder, monkeypatch):
    import huggingface_hub

    from models.provenance import file_sha256

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    pin = {"model.safetensors": file_sha256(folder / "model.safetensors")}
    assert profile("dinov2", {"source": f"org/pinned@{COMMIT}", "sha256": pin}).weights.folder("dinov2") == folder
    wrong = profile("dinov2", {"source": f"org/pinned@{COMMIT}", "sha256": {"model.safetensors": "0" * 64}})
    with pytest.raises(ProfileError, match="it is refused"):
        wrong.weights.folder("dinov2")


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"source": "a", "precision": "float8"}, "weights.dinov2.precision"),
        ({"source": "a", "sha256": "abc"}, "weights.dinov2.sha256"),
        ({"source": "a", "revision": "main"}, "weights.dinov2.revision"),
        ({"sha256": "0" * 64}, "weights.dinov2.source"),
    ],
)
def test_what_a_profile_may_not_say_of_weights_is_named(profile, weights, said):
    with pytest.raises(ProfileError, match=said):
        profile("dinov2", weights)


def test_what_is_no_encoder_has_no_precision_to_choose(profile):
    with pytest.raises(ProfileError, match=r"weights\.vae\.precision Extra inputs are not permitted"):
        profile("vae", {"source": "a", "precision": "bfloat16"})


def test_the_a100_profile_computes_its_encoders_in_bf16():
    """Qwen2.5-VL-7B in fp32 alone would fill the 33 GB of §3.1."""
    assert load("a100").weights.precisions == {"dinov2": "bfloat16", "qwen": "bfloat16"}


def test_the_doctor_says_what_is_wrong_with_weights_and_fetches_none(profile, folder):
    from orchestration.cli.doctor import examine

    def row(weights: object) -> dict:
        rows = {row["what"]: row for row in examine(profile("dinov2", weights))}
        return rows["weights of dinov2"]

    assert row(str(folder))["fine"]
    wrong = row({"source": str(folder), "sha256": "0" * 64})
    assert not wrong["fine"]
    assert "not the pinned" in wrong["found"]
    assert "not fetched yet" in row(f"org/never@{COMMIT}")["found"]


def test_a_folder_of_weights_has_the_hash_that_loading_it_finds(tmp_path):
    from models.provenance import folder_sha256

    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.safetensors").write_bytes(b"12345678")
    assert weights_sha256(tmp_path) == folder_sha256(tmp_path)
