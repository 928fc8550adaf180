"""The stage `dinov2` with its stand-in: what features are made of is in their fingerprint, and no others are read."""

import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from models.data import no_progress
from models.data.features import FeatureError, FeatureStore
from models.data.shards import ClipShards, build_shards
from models.encoders.registry import ENTRIES
from orchestration.budget import storage
from orchestration.data.workspace import repository_params
from orchestration.plan.programme import load
from orchestration.stages import tokens
from orchestration.stages.inputs import Inputs
from tests.models.data.clips import make_row, write_manifest


def shards_of(folder, *seeds: int) -> None:
    rows = [make_row(folder / "raw", f"c{k}", seed=seed) for k, seed in enumerate(seeds)]
    build_shards(write_manifest(folder / "raw", rows), folder / "shards", size=32)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder of two clips with a params.yaml."""
    shards_of(tmp_path, 0, 1)
    monkeypatch.chdir(tmp_path)
    ask(tmp_path)
    return tmp_path


def ask(folder, **changes: Any) -> None:
    """Write a params.yaml that differs from the repository's in this of `dinov2`."""
    params = repository_params()
    params["dinov2"] |= changes
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def extract() -> dict:
    return tokens.run("dinov2", None, no_progress)


def read(workspace) -> np.ndarray:
    """The tokens as training and evaluation read them."""
    inputs: Any = Inputs(SimpleNamespace(workspace=workspace))  # type: ignore[arg-type]
    return inputs.store("dinov2").read(inputs.shards.ids())


def test_int8_and_float16_have_other_fingerprints_and_close_tokens(workspace):
    in_fp16, exact = extract(), read(workspace)
    ask(workspace, precision="int8")
    with pytest.raises(FeatureError, match="features of another encoder"):
        extract()
    shutil.rmtree(workspace / "features")
    in_int8 = extract()
    assert in_int8["fingerprint"] != in_fp16["fingerprint"]
    shards = ClipShards(workspace / "shards")
    store = FeatureStore(workspace / "features" / "dinov2", shards, in_int8["fingerprint"])
    assert store.store.dtype == "int8"
    assert np.corrcoef(store.read(shards.ids()).ravel(), exact.astype(np.float32).ravel())[0, 1] > 0.999


def test_an_unknown_precision_is_refused(workspace):
    ask(workspace, precision="fp8")
    with pytest.raises(FeatureError, match="dinov2: precision 'fp8' is unknown; use float16 or int8"):
        extract()


def test_an_encoder_computes_in_the_precision_of_the_profile(workspace):
    extract()
    exact = read(workspace).astype(np.float32)
    shutil.rmtree(workspace / "features")
    ask(workspace, computed_in="bfloat16")
    extract()
    brief = read(workspace).astype(np.float32)
    assert not np.array_equal(brief, exact)
    assert np.corrcoef(brief.ravel(), exact.ravel())[0, 1] > 0.999


def test_features_that_would_not_fit_their_storage_are_refused_while_they_are_made(workspace, monkeypatch):
    caps = load().budget.storage_gb
    small = caps.model_copy(update={"phases": {**caps.phases, 1: 1e-6}})
    budget = load().budget.model_copy(update={"storage_gb": small})
    monkeypatch.setattr(storage.programme, "load", lambda: load().model_copy(update={"budget": budget}))
    with pytest.raises(storage.StorageRefused, match="dinov2: 2 clips take"):
        extract()


def test_other_weights_than_those_asked_for_are_refused(workspace):
    ask(workspace, weights_sha256="0" * 64)
    with pytest.raises(tokens.TokensError, match=r"is not params.yaml's 000000000000; restore the weights or update"):
        extract()
    assert not (workspace / "features").exists()


OTHERS = {"weights_sha256": "0" * 64, "stride": 4, "computed_in": "bfloat16", "precision": "int8"}


@pytest.mark.parametrize("name", OTHERS)
def test_features_of_other_weights_or_parameters_are_not_read(workspace, name):
    extract()
    ask(workspace, **{name: OTHERS[name]})
    assert tokens.outdated(workspace, "dinov2")
    with pytest.raises(FeatureError, match=r"features of another encoder: dinov2 .*; remove the folder and extract"):
        read(workspace)


def test_features_of_other_layers_of_the_same_weights_are_not_read(workspace, monkeypatch):
    extract()
    monkeypatch.setitem(ENTRIES, "dinov2", ENTRIES["dinov2_multi"])
    with pytest.raises(FeatureError, match="features of another encoder"):
        read(workspace)


def test_features_of_another_preprocessing_are_not_read(workspace, monkeypatch):
    """Any change to what the encoder's code does, or the code that it imports."""
    extract()
    real = tokens.source_sha256
    monkeypatch.setattr(tokens, "source_sha256", lambda *parts: real(*parts) if "pixels" not in str(parts) else "other")
    assert tokens.outdated(workspace, "dinov2")
    with pytest.raises(FeatureError, match="features of another encoder"):
        read(workspace)


def test_features_of_other_clips_under_the_same_names_are_not_read(workspace):
    extract()
    for folder in ("raw", "shards"):
        shutil.rmtree(workspace / folder)
    shards_of(workspace, 0, 2)
    with pytest.raises(FeatureError, match=r"no features of shard-00000.safetensors as it is now; extract again"):
        read(workspace)


def test_clips_at_once_and_the_place_of_the_weights_change_nothing(workspace, tmp_path_factory):
    extract()
    before = read(workspace)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "dinov2"
    shutil.copytree(tokens.weights_folder(repository_params()["dinov2"]["weights"]), elsewhere)
    ask(workspace, batch=1, weights=str(elsewhere))
    assert not tokens.outdated(workspace, "dinov2")
    assert np.array_equal(read(workspace), before)
