"""A store of int8: floats by clip id, scales of each file, damage seen, and never mixed with fp16."""

import json
import shutil

import numpy as np
import pytest

from models.data.features import FeatureError, FeatureStore, extract
from models.data.shards import ClipShards, build_shards, mapped

from .clips import folder_bytes, make_row, write_manifest

WHOSE = {"name": "toy", "weights_sha256": "w" * 64, "standin": True, "precision": "int8", "fingerprint": "8" * 64}
IN_FP16 = {**WHOSE, "precision": "float16", "fingerprint": "f" * 64}
FILE = "shard-00001.safetensors"


def encode(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Colours of every other frame as [n, 5, 8, 6], brighter in some channels; positions for all."""
    tokens = frames[:, ::2].reshape(len(frames), 5, 8, 6, -1).mean(-1) / 255 * [1, 10, 0.1, 1, 0, -3]
    return {"tokens": tokens, "positions": np.zeros((8, 2)), "latents": tokens[..., 0]}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = [make_row(folder / "raw", f"c{k}", seed=k) for k in range(8)]
    build_shards(write_manifest(folder / "raw", rows), folder / "shards", size=16, clips_per_shard=3)
    return ClipShards(folder / "shards")


@pytest.fixture(scope="module")
def extracted(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    assert extract(shards, folder, encode, batch=2, **WHOSE) == 8
    return folder


def test_tokens_read_as_floats_of_their_clips_in_the_order_asked(shards, extracted):
    store, ids = FeatureStore(extracted, shards, WHOSE["fingerprint"]), ["c7", "c0", "c4", "c0"]
    scales = {clip: mapped(extracted / shards.places[clip][0]).get_tensor("tokens.scales") for clip in ids}
    read, true = store.read(ids), encode(shards.frames(ids))["tokens"].astype(np.float16).astype(np.float64)
    assert read.dtype == np.float32
    assert read.shape == true.shape
    for row, clip in enumerate(ids):
        assert (np.abs(read[row] - true[row]) <= scales[clip] / 2 * (1 + 1e-4)).all()


def test_only_tokens_are_int8_and_scales_are_of_one_file(shards, extracted):
    files = [mapped(extracted / shard) for shard in shards.shard_sha256]
    assert {file.get_slice("tokens").get_dtype() for file in files} == {"I8"}
    assert {file.get_slice("latents").get_dtype() for file in files} == {"F16"}
    assert len({file.get_tensor("tokens.scales").tobytes() for file in files}) == len(files)
    store = FeatureStore(extracted, shards)
    assert store.read(["c0"], "latents").dtype == np.float16
    assert store.names() == ["latents", "positions", "tokens"]
    assert json.loads((extracted / "store.json").read_text())["dtype"] == "int8"


def test_the_same_bytes_whatever_the_batch(shards, extracted, tmp_path):
    extract(shards, tmp_path, encode, batch=3, **WHOSE)
    assert folder_bytes(tmp_path) == folder_bytes(extracted)


@pytest.mark.parametrize("tensor", ["tokens", "tokens.scales", "positions"])
def test_a_flipped_bit_is_seen_wherever_it_is(shards, extracted, tmp_path, tensor):
    folder = tmp_path / "features"
    shutil.copytree(extracted, folder)
    data = bytearray((folder / FILE).read_bytes())
    header = int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8 : 8 + header])[tensor]["data_offsets"]
    data[8 + header + (begin + end) // 2] ^= 1
    (folder / FILE).write_bytes(data)
    with pytest.raises(FeatureError, match=rf"{FILE}: missing, or not the bytes that were written; remove it"):
        FeatureStore(folder, shards).verify()


def test_fp16_features_are_never_read_as_int8_nor_int8_as_fp16(shards, extracted, tmp_path):
    extract(shards, tmp_path, encode, **IN_FP16)
    for folder, other in ((extracted, IN_FP16), (tmp_path, WHOSE)):
        before = folder_bytes(folder)
        with pytest.raises(FeatureError, match="features of another encoder"):
            FeatureStore(folder, shards, other["fingerprint"])
        with pytest.raises(FeatureError, match="features of another encoder"):
            extract(shards, folder, encode, **other)
        assert folder_bytes(folder) == before


def test_a_store_takes_no_second_precision_under_one_fingerprint(shards, extracted):
    with pytest.raises(FeatureError, match=r"holds int8, asked for float16; remove the folder"):
        extract(shards, extracted, encode, **{**WHOSE, "precision": "float16"})


def outlier(n: int) -> np.ndarray:
    tokens = np.random.default_rng(0).standard_normal((n, 4, 3))
    tokens[0, 0, 0] = 1000
    return tokens


@pytest.mark.parametrize(
    ("made", "precision", "reason"),
    [
        (lambda n: {"tokens": np.ones((n, 2))}, "int4", "precision 'int4' is unknown; use float16 or int8"),
        (lambda n: {"latents": np.ones((n, 2))}, "int8", r"int8 is for tokens, and there are only \['latents'\]; use"),
        (
            lambda n: {"tokens": np.ones((n, 0, 2))},
            "int8",
            r"tokens of shard-00000\S+: values are \[3, 0, 2\]: nothing",
        ),
        (lambda n: {"tokens": np.full((n, 2), np.inf)}, "int8", "tokens is not finite"),
        (
            lambda n: {"tokens": outlier(n)},
            "int8",
            r"a cosine of 0\.\d+ of a token of shard-00000\S+, below 0.999 .* use",
        ),
    ],
)
def test_what_int8_cannot_hold_is_refused_in_one_line_and_leaves_no_file(shards, tmp_path, made, precision, reason):
    with pytest.raises(FeatureError, match=reason) as refused:
        extract(shards, tmp_path, lambda frames: made(len(frames)), **{**WHOSE, "precision": precision})
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())
