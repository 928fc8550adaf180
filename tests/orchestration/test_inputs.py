"""What a phase reads is what was written: damage anywhere is found before the first step."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from models.data.features import FeatureError, extract
from models.data.shards import ClipShards, ShardError, build_shards
from orchestration.data.workspace import repository_params
from orchestration.stages import tokens
from orchestration.stages.inputs import Inputs
from tests.models.data.clips import make_row, write_manifest

STORES = ("latents", "dinov2", "qwen")


def encode(frames: np.ndarray) -> dict[str, np.ndarray]:
    cells = frames[:, ::4].reshape(len(frames), 3, 4, -1).mean(-1, keepdims=True)
    return {"tokens": cells, "latents": cells, "positions": np.zeros((3, 4, 2), np.float32)}


@pytest.fixture
def inputs(tmp_path):
    """A workspace whose stores bear the fingerprints that its params.yaml asks for."""
    rows = [make_row(tmp_path / "raw", f"c{k}", seed=k, split="train" if k else "heldout") for k in range(3)]
    build_shards(write_manifest(tmp_path / "raw", rows), tmp_path / "shards", size=16, clips_per_shard=2)
    params = repository_params()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    for stage in STORES:
        mark = tokens.expected(stage, params[stage])
        where, whose = tmp_path / tokens.FOLDERS[stage], {"weights_sha256": "0", "standin": True}
        extract(ClipShards(tmp_path / "shards"), where, encode, name=stage, fingerprint=mark, **whose)
    return Inputs(SimpleNamespace(workspace=tmp_path))  # type: ignore[arg-type]


def training(inputs: Inputs) -> Any:
    return inputs.training(inputs.ids("train"), inputs.ids("heldout"), captions=False)


def test_whole_stores_are_read(inputs):
    data = training(inputs)
    assert sorted(data.ids) == ["c1", "c2"]
    assert data.spatial.tokens(data.ids).tokens.shape == (2, 3, 4, 1)


@pytest.mark.parametrize("where", ["shards", *map(str, tokens.FOLDERS.values())])
@pytest.mark.parametrize("at", [0.3, 0.999])
def test_a_flipped_bit_is_found_before_training(inputs, where, at):
    path = sorted((inputs.job.workspace / where).glob("shard-*.safetensors"))[-1]
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises((FeatureError, ShardError), match=rf"{path}: .*not the bytes that were written"):
        training(inputs)


def test_features_that_lack_a_shard_are_found_before_training(inputs):
    rows = [make_row(inputs.job.workspace / "raw", f"c{k}", seed=k, split="train") for k in range(1, 5)]
    rows.append(make_row(inputs.job.workspace / "raw", "c0", seed=0, split="heldout"))
    build_shards(
        write_manifest(inputs.job.workspace / "raw", rows), inputs.job.workspace / "shards", size=16, clips_per_shard=2
    )
    with pytest.raises(FeatureError, match=r"latents: 1 shards have none, as shard-00002.safetensors; extract again"):
        training(Inputs(inputs.job))
