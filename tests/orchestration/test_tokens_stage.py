"""The stage `dinov2` with its stand-in: the precision of params.yaml is in the store and in its fingerprint."""

import numpy as np
import pytest
import yaml

from models.data import no_progress
from models.data.features import FeatureError, FeatureStore
from models.data.shards import ClipShards, build_shards
from orchestration.stages import tokens
from orchestration.workspace import repository_params
from tests.models.data.clips import make_row, write_manifest


@pytest.fixture
def extract(tmp_path, monkeypatch):
    """Run the stage in a folder of two clips, under a precision; its result."""
    rows = [make_row(tmp_path / "raw", f"c{k}", seed=k) for k in range(2)]
    build_shards(write_manifest(tmp_path / "raw", rows), tmp_path / "shards", size=32)
    monkeypatch.chdir(tmp_path)

    def run(precision: str) -> dict:
        params = repository_params()
        params["dinov2"]["precision"] = precision
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        return tokens.run("dinov2", None, no_progress)

    return run


def test_int8_and_float16_have_other_fingerprints_and_close_tokens(extract, tmp_path):
    in_fp16, folder = extract("float16"), tmp_path / "features" / "dinov2"
    shards = ClipShards(tmp_path / "shards")
    exact = FeatureStore(folder, shards, in_fp16["fingerprint"]).read(shards.ids())
    with pytest.raises(FeatureError, match="features of another encoder"):
        extract("int8")
    folder.rename(tmp_path / "fp16")
    in_int8 = extract("int8")
    assert in_int8["fingerprint"] != in_fp16["fingerprint"]
    store = FeatureStore(folder, shards, in_int8["fingerprint"])
    assert store.store.dtype == "int8"
    assert np.corrcoef(store.read(shards.ids()).ravel(), exact.astype(np.float32).ravel())[0, 1] > 0.999


def test_an_unknown_precision_is_refused(extract):
    with pytest.raises(FeatureError, match="dinov2: precision 'fp8' is unknown; use float16 or int8"):
        extract("fp8")
