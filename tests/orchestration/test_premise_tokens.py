"""What the premise audit reads: made once for its clips, weights and sizes, and never taken for another's."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from models.data.features import extract
from models.data.shards import ClipShards, build_shards
from models.encoders.base import on_grid
from orchestration.data.workspace import repository_params
from orchestration.experiments.declaration import Sizes
from orchestration.stages import premise_tokens, tokens
from orchestration.stages.inputs import Inputs
from orchestration.stages.premise_tokens import PremiseTokens
from tests.models.data.clips import make_row, write_manifest

SIZES = Sizes(train=3, heldout=2, frames=2, mobile_sam_px=256, max_hours=1)


class Network:
    """An encoder whose tokens say where they are: 16 of a frame, 64 for MobileSAM."""

    standin, weights_sha256 = False, "net"

    def __init__(self, side: int, pairs: bool) -> None:
        self.side, self.step, self.calls = side, 2 if pairs else 1, 0

    def to(self, device: str) -> "Network":
        return self

    def __call__(self, frames: torch.Tensor) -> Any:
        self.calls += 1
        steps, count = frames.shape[1] // self.step, self.side**2
        places = torch.arange(count, dtype=torch.float32).expand(len(frames), steps, count)
        return on_grid(places[..., None], self.side, self.side)

    def library_order(self, rows: int, columns: int) -> torch.Tensor:
        return torch.arange(rows * columns).flip(0)


def stored(frames: np.ndarray) -> dict[str, np.ndarray]:
    """A token a latent frame and cell, which says its time step."""
    made = np.broadcast_to(np.arange(5, dtype=np.float32)[None, :, None, None], (len(frames), 5, 16, 2)).copy()
    return {"tokens": made, "latents": made, "positions": np.zeros((5, 16, 2), np.float32)}


@pytest.fixture
def workspace(tmp_path):
    rows = [
        make_row(tmp_path / "raw", f"c{k}", seed=k, split="heldout" if k > 3 else "train", masks=k != 1)
        for k in range(7)
    ]
    build_shards(write_manifest(tmp_path / "raw", rows), tmp_path / "shards", size=32, stride=1, clips_per_shard=4)
    params = repository_params()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    for stage in ("dinov2", "qwen"):
        mark = tokens.expected(stage, params[stage])
        whose = {"weights_sha256": "0", "standin": True}
        extract(
            ClipShards(tmp_path / "shards"),
            tmp_path / tokens.FOLDERS[stage],
            stored,
            name=stage,
            fingerprint=mark,
            **whose,
        )
    return tmp_path


@pytest.fixture
def networks(monkeypatch):
    made = {"qwen_premerge": Network(4, pairs=True), "mobile_sam": Network(8, pairs=False)}
    monkeypatch.setattr(PremiseTokens, "_premerge", lambda _: made["qwen_premerge"])
    monkeypatch.setattr(PremiseTokens, "_mobile_sam", lambda _: made["mobile_sam"])
    return made


def source(workspace, sizes: Sizes = SIZES, **weights: str) -> PremiseTokens:
    """As a fresh process would open it."""
    given = SimpleNamespace(qwen=SimpleNamespace(precision="float32"))
    profile = SimpleNamespace(weights=given, device="cpu", clips=SimpleNamespace(batch=2))
    job: Any = SimpleNamespace(
        workspace=workspace, out=workspace / "out", profile=profile, weights={"qwen": "q", "mobile_sam": "m", **weights}
    )
    return PremiseTokens(job, Inputs(job), sizes, lambda *_: None)


def test_every_representation_is_of_the_same_frames_of_the_same_masked_clips(workspace, networks):
    found = source(workspace)
    assert found.ids == {"train": ["c0", "c2", "c3"], "heldout": ["c4", "c5"]}
    assert found.frames == [2, 6]
    assert [len(clip) for clip in found.boxes("heldout")] == [2, 2]
    for encoder in ("qwen_postmerge", "dinov2"):
        assert found.read(encoder).train[0, :, 0, 0].tolist() == [1, 3]
    for encoder in premise_tokens.MADE_HERE:
        seen = found.read(encoder)
        assert seen.train.shape[:3] == (3, 2, 16)
        assert (seen.grid, seen.standin, seen.weights_sha256) == ((4, 4), False, "net")


def test_as_returned_is_the_restored_in_the_librarys_order(workspace, networks):
    found = source(workspace)
    restored, returned = found.read("qwen_premerge").heldout, found.read("qwen_premerge_as_returned").heldout
    assert np.array_equal(returned, restored[:, :, ::-1])
    assert networks["qwen_premerge"].calls == 3, "two batches to train on, one held out; never made twice"


def test_what_was_made_stays_and_is_made_again_only_for_others(workspace, networks):
    first = source(workspace)
    for encoder in ("qwen_premerge", "mobile_sam"):
        first.read(encoder)
    again = source(workspace)
    again.read("qwen_premerge")
    assert networks["qwen_premerge"].calls == 3
    larger = source(workspace, SIZES.model_copy(update={"mobile_sam_px": 512}))
    assert larger.mark("qwen_premerge") == first.mark("qwen_premerge")
    assert larger.mark("mobile_sam") != first.mark("mobile_sam")
    larger.read("mobile_sam")
    assert networks["mobile_sam"].calls == 6
    other = source(workspace, qwen="another")
    assert other.mark("qwen_premerge_as_returned") != first.mark("qwen_premerge_as_returned")
    assert other.mark("mobile_sam") == first.mark("mobile_sam")


def test_a_damaged_file_is_made_again(workspace, networks):
    whole = source(workspace).read("qwen_premerge").train
    path = workspace / "out" / "features" / "qwen_premerge.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(source(workspace).read("qwen_premerge").train, whole)
    assert networks["qwen_premerge"].calls == 6


def test_states_beyond_half_precision_are_kept_whole(workspace, networks, monkeypatch):
    network = networks["qwen_premerge"]
    made = network.__class__.__call__
    monkeypatch.setattr(Network, "__call__", lambda self, frames: large(made(self, frames)))
    assert source(workspace).read("qwen_premerge").train.max() == 15e5
    assert source(workspace).read("qwen_premerge").train.max() == 15e5


def large(made: Any) -> Any:
    return on_grid(made.tokens * 1e5, 4, 4)


def test_clips_without_masks_give_nothing_to_read(tmp_path):
    rows = [make_row(tmp_path / "raw", f"c{k}", seed=k, split="heldout" if k else "train") for k in range(3)]
    build_shards(write_manifest(tmp_path / "raw", rows), tmp_path / "shards", size=32, stride=1)
    assert source(tmp_path).ids == {"train": [], "heldout": []}
