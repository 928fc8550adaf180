"""The trained stand-ins as encoders: what they give, and where they say it is."""

import numpy as np
import pytest
import torch

from models.encoders.base import grid_positions
from models.encoders.dinov2 import Dinov2Encoder
from models.encoders.qwen import QwenEncoder
from models.provenance import WeightsError
from models.standins import shelf


@pytest.fixture(scope="module")
def dinov2():
    return Dinov2Encoder.load(shelf.folder("dinov2"), stride=2)


@pytest.fixture(scope="module")
def qwen():
    return QwenEncoder.load(shelf.folder("qwen"))


def _white_square(row: int, column: int, cell: int) -> torch.Tensor:
    frames = torch.zeros(1, 9, 64, 64, 3, dtype=torch.uint8)
    frames[:, :, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = 255
    return frames


def _most_changed(encoder, frames, blank) -> np.ndarray:
    """Position (x, y) of the token that differs most from the blank clip's."""
    seen, empty = encoder(frames), encoder(blank)
    change = (seen.tokens - empty.tokens).norm(dim=-1)[0, 0]
    return seen.positions[0, 0, change.argmax()].numpy()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 6), (5, 2), (7, 7)])
def test_dinov2_positions_match_where_a_square_is(dinov2, row, column):
    at = _most_changed(dinov2, _white_square(row, column, 8), torch.zeros(1, 9, 64, 64, 3, dtype=torch.uint8))
    assert at == pytest.approx([(column + 0.5) / 8, (row + 0.5) / 8])


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 3), (2, 1), (3, 3)])
def test_qwen_merged_tokens_come_in_raster_order(qwen, row, column):
    blank = torch.zeros(1, 9, 64, 64, 3, dtype=torch.uint8)
    inputs = [qwen._inputs(frames) for frames in (_white_square(row, column, 16), blank)]
    with torch.no_grad():
        seen, empty = (
            qwen.model.get_video_features(i["pixel_values_videos"], i["video_grid_thw"]).pooler_output[0]
            for i in inputs
        )
    change = (seen - empty).norm(dim=-1)[:16]
    assert grid_positions(4, 4)[change.argmax()].tolist() == pytest.approx([(column + 0.5) / 4, (row + 0.5) / 4])


def test_shapes_and_masks(dinov2, qwen):
    frames = torch.randint(0, 256, (2, 9, 64, 64, 3), dtype=torch.uint8)
    where, what = dinov2(frames), qwen(frames)
    assert where.tokens.shape == (2, 5, 64, dinov2.dim)
    assert what.tokens.shape == (2, 5, 16, qwen.dim)
    for tokens in (where, what):
        assert tokens.positions.shape == (*tokens.tokens.shape[:3], 2)
        assert tokens.mask.all()
        assert 0 < tokens.positions.min() < tokens.positions.max() < 1


def test_a_batch_gives_what_its_clips_give(dinov2, qwen):
    frames = torch.randint(0, 256, (3, 9, 64, 64, 3), dtype=torch.uint8)
    for encoder in (dinov2, qwen):
        together = encoder(frames).tokens
        alone = torch.cat([encoder(clip[None]).tokens for clip in frames])
        assert torch.allclose(together, alone, atol=1e-4)


def test_a_folder_without_weights_is_named(tmp_path):
    from models.provenance import folder_sha256

    with pytest.raises(WeightsError, match=r"no \*\.safetensors here"):
        folder_sha256(tmp_path)
