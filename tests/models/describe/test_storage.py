"""Bytes of a clip by its shapes are those of a file that the project's own writer made."""

import numpy as np
import pytest

from models.bench.workspace import shards
from models.data.features import FLOAT16, INT8, extract
from models.describe.storage import bytes_a_clip
from models.fusion.config import proposed


def test_a_clip_of_the_proposal_takes_what_the_design_reckons():
    """Design §4.8: 100,000 clips of 5 x 256 x 1536 in fp16 are 393 GB."""
    sizes = bytes_a_clip(proposed())
    assert 100_000 * sizes["dinov2"][FLOAT16] / 1e9 == pytest.approx(393, abs=1)
    assert sizes["dinov2"][INT8] == pytest.approx(sizes["dinov2"][FLOAT16] / 2, rel=0.001)
    assert sizes["latents"] == {FLOAT16: 5 * 64 * 128 * 2}


@pytest.mark.parametrize("precision", [FLOAT16, INT8])
def test_a_clip_takes_what_its_store_takes(tmp_path, precision):
    clips, frames, cells, width = 12, 5, 16, 192
    rng = np.random.default_rng(0)

    def encode(batch: np.ndarray) -> dict[str, np.ndarray]:
        tokens = rng.standard_normal((len(batch), frames, cells, width), np.float32)
        return {"tokens": tokens, "mask": np.ones(tokens.shape[:3], bool)}

    said = {"name": "dinov2", "fingerprint": "f", "weights_sha256": "w", "standin": True}
    extract(shards(tmp_path, clips), tmp_path / "features", encode, precision=precision, **said)
    stored = sum(file.stat().st_size for file in (tmp_path / "features").glob("*.safetensors")) / clips
    fusion = proposed(spatial_dim=width, latent_frames=frames, spatial_grid=(4, 4))
    assert stored == pytest.approx(bytes_a_clip(fusion)["dinov2"][precision], rel=0.01)
