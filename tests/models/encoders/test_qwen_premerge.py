"""The vision tower before its merger: the raster order is proven against what the merger itself makes of the tower."""

import pytest
import torch
from torch import Tensor

from models.encoders.base import on_grid
from models.encoders.qwen import QwenEncoder
from models.encoders.qwen_premerge import QwenPremergeEncoder
from models.standins import shelf
from tests.models.encoders import small

SIZES = [(64, 64), (48, 80), (96, 32), (16, 112)]


@pytest.fixture(scope="module")
def premerge(encoder):
    return encoder("qwen_premerge")


def tower_output(premerge: QwenPremergeEncoder, frames: Tensor):
    pixels, grid = premerge._patches(frames)
    with torch.no_grad():
        return premerge.model(pixels, grid_thw=grid), grid


def merged(premerge: QwenPremergeEncoder, raster: Tensor, rows: int, columns: int) -> Tensor:
    """The merger's output for raster tokens [n, rows * columns, D]: each 2x2 neighbourhood, taken by hand."""
    cells = raster.unflatten(1, (rows, columns))
    blocks = [cells[:, r : r + 2, c : c + 2].flatten(1, 2) for r in range(0, rows, 2) for c in range(0, columns, 2)]
    with torch.no_grad():
        return premerge.model.merger(torch.stack(blocks, dim=1).flatten(0, 2))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_merging_the_raster_by_hand_gives_the_mergers_own_output(premerge, height, width):
    frames = small.noise(2, 6, height, width)
    raster = premerge(frames).tokens
    truth = tower_output(premerge, frames)[0].pooler_output
    by_hand = merged(premerge, raster.flatten(0, 1), height // 8, width // 8)
    assert torch.allclose(by_hand, truth, atol=1e-5)


def test_read_as_a_raster_the_towers_states_would_be_wrong(premerge):
    frames = small.noise(1, 2, 64, 64)
    output, grid = tower_output(premerge, frames)
    restored = premerge.in_raster_order(output.last_hidden_state, grid)
    moved = (restored != output.last_hidden_state).any(dim=-1).float().mean().item()
    assert moved > 0.7
    raw = merged(premerge, output.last_hidden_state[None], 8, 8)
    assert not torch.allclose(raw, output.pooler_output, atol=1e-2)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_librarys_order_gives_the_towers_own_states(premerge, height, width):
    frames = small.noise(1, 4, height, width)
    raster = premerge(frames).tokens[0]
    returned = tower_output(premerge, frames)[0].last_hidden_state.unflatten(0, (2, -1))
    assert torch.equal(raster[:, premerge.library_order(height // 8, width // 8)], returned)


def test_a_planted_object_is_in_its_place_in_raster_order_and_elsewhere_as_returned(premerge):
    ground = torch.full((1, 2, 64, 64, 3), 90, dtype=torch.uint8)
    planted = ground.clone()
    planted[:, :, 40:48, 16:24] = 250  # the patch in row 5, column 2
    moved = (premerge(planted).tokens - premerge(ground).tokens)[0, 0].norm(dim=-1)
    assert divmod(int(moved.argmax()), 8) == (5, 2)
    assert divmod(int(moved[premerge.library_order(8, 8)].argmax()), 8) != (5, 2)


def test_a_stride_takes_the_pairs_that_begin_at_its_frames(premerge):
    frames = small.noise(1, 9, 48, 64)
    every = premerge(frames).tokens
    spaced = QwenPremergeEncoder(premerge.model, premerge.processor, stride=8, weights_sha256="", standin=False)(
        frames
    ).tokens
    assert every.shape[1] == 5
    assert torch.allclose(spaced, every[:, ::4], atol=1e-5)


def test_a_stride_that_splits_pairs_is_refused(premerge):
    with pytest.raises(ValueError, match="a stride of 3 frames splits its pairs"):
        QwenPremergeEncoder(premerge.model, premerge.processor, stride=3, weights_sha256="", standin=False)


def test_the_tower_alone_is_the_one_inside_the_whole_model():
    whole = QwenEncoder.load(shelf.folder("qwen"))
    premerge = QwenPremergeEncoder.load(shelf.folder("qwen"), stride=2)
    inside, alone = whole.model.model.visual.state_dict(), premerge.model.state_dict()
    assert inside.keys() == alone.keys()
    assert all(torch.equal(inside[name], alone[name]) for name in alone)
    assert premerge.weights_sha256 == whole.weights_sha256
    assert premerge.standin


def test_the_semantic_stream_is_the_language_models_last_hidden_state():
    """`QwenEncoder` says what it said before the contract's checks were put around it."""
    whole, frames = QwenEncoder.load(shelf.folder("qwen")), small.noise(2, 9, 48, 64)
    inputs = whole._inputs(frames)
    with torch.no_grad():
        states = whole.model.model(**inputs).last_hidden_state
    video = inputs["input_ids"] == whole.model.config.video_token_id
    expected = on_grid(states[video].view(2, -1, 12, whole.dim), 3, 4)
    made = whole(frames)
    assert torch.equal(made.tokens, expected.tokens)
    assert torch.equal(made.positions, expected.positions)
