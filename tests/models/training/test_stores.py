"""A phase trains on real shards and feature stores, and a run remembers whose features they were."""

import dataclasses

import numpy as np
import pytest

from models.data.features import FeatureStore, extract
from models.data.shards import ClipShards, build_shards
from models.training import phase1
from models.training.checkpoint import CheckpointError
from models.training.objective import ObjectiveConfig
from models.training.stores import training_data
from tests.models.data.clips import make_row, write_manifest
from tests.models.training import toy


def tokens(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Mean colours of 4x4 cells of the first and last frame, as 12 numbers a token."""
    cells = frames[:, [0, -1]].reshape(len(frames), 2, 4, 8, 4, 8, 3).mean((3, 5)).reshape(len(frames), 2, 16, 3)
    return {"tokens": np.tile(cells / 255, 4).astype(np.float32), "positions": toy.places(4)}


def latents(frames: np.ndarray) -> dict[str, np.ndarray]:
    cells = tokens(frames)["tokens"][..., : toy.CHANNELS].reshape(len(frames), 2, 4, 4, toy.CHANNELS)
    return {"latents": cells.transpose(0, 4, 1, 2, 3)}


def splits(shards: ClipShards) -> tuple[list[str], list[str]]:
    return shards.ids("train"), shards.ids("heldout")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    splits = ["train"] * 4 + ["heldout"]
    write_manifest(folder / "data", [make_row(folder / "data", f"c{i}", seed=i, split=s) for i, s in enumerate(splits)])
    build_shards(folder / "data", folder / "shards", frames=9, size=32, clips_per_shard=2)
    shards = ClipShards(folder / "shards")
    for name, encode in (("dinov2", tokens), ("latents", latents)):
        extract(shards, folder / name, encode, name=name, fingerprint=name, weights_sha256="0", standin=True)
    return shards, FeatureStore(folder / "dinov2", shards), FeatureStore(folder / "latents", shards)


def test_a_phase_trains_on_stored_features(workspace, tmp_path):
    shards, spatial, stored = workspace
    data = training_data(shards, *splits(shards), latents=stored, spatial=spatial)
    assert (data.ids, data.held_out) == splits(shards)
    config = phase1.Phase1Config(toy.FUSION, toy.loop(batch=2), ObjectiveConfig(pixel_every=0), heldout_every=3)
    told = []
    phase1.run(config, data, tmp_path, lambda *p: told.append(p[3]))
    assert np.isfinite([numbers["loss"] for numbers in told]).all()
    assert "heldout_latent" in told[2]
    others = dataclasses.replace(data, fingerprints={**data.fingerprints, "spatial": "another encoder"})
    with pytest.raises(CheckpointError, match=r"data\.spatial: 'dinov2' then"):
        phase1.run(config, others, tmp_path)


def test_tokens_keep_their_clip_and_place(workspace):
    shards, spatial, stored = workspace
    data = training_data(shards, *splits(shards), latents=stored, spatial=spatial)
    ids = list(reversed(shards.ids("train")))
    read = data.spatial.tokens(ids)
    expected = tokens(shards.frames(ids))
    np.testing.assert_allclose(read.tokens.numpy(), expected["tokens"], atol=1e-3)
    np.testing.assert_allclose(read.positions[0].numpy(), expected["positions"], atol=1e-3)
    assert read.mask.all()
