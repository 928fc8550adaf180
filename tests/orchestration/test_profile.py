"""A profile says what runs; what it may not say is refused by name."""

import pytest
import yaml

from orchestration.profile import PROFILES, ProfileError, load, weights_folder
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


def test_a_folder_of_weights_has_the_hash_that_loading_it_finds(tmp_path):
    from models.provenance import folder_sha256

    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.safetensors").write_bytes(b"12345678")
    assert weights_sha256(tmp_path) == folder_sha256(tmp_path)
