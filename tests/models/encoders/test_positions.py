"""Positions say where things are: a white square moves over a black frame, and the token that changes most is there.

The square's place is given in pixels of the original frame, so that a swapped axis, a lost raster order, a crop or a
padding that is not accounted for puts the change somewhere else.
"""

import pytest
import torch

from models.encoders.base import Encoder, Tokens
from tests.models.encoders import small

PLACES = 7
CONVOLUTIONS = {"sam_neck": 1, "mobile_sam": 1}
"""Cells by which the greatest change may lie beside the square: these mix neighbours by convolution."""
MOBILE_SAM_SIDE = 512
"""Pixels: half the published square, which is four times as quick. The network has no position of its own."""


@pytest.fixture
def placed(encoder, request):
    """An encoder by name. MobileSAM has its real weights: with random ones a deep convolutional net keeps no place."""

    def of(name: str) -> Encoder:
        if name != "mobile_sam":
            return encoder(name)
        from models.encoders.mobile_sam import MobileSamEncoder

        model = MobileSamEncoder.load(request.getfixturevalue("mobile_sam_folder"), stride=1).model
        return MobileSamEncoder(model, size=MOBILE_SAM_SIDE, stride=1, weights_sha256="", standin=False)

    return of


def cell_pixels(name: str, encoder: Encoder, height: int, width: int) -> float:
    """The side of a token's cell in pixels of the frame."""
    if name in small.SQUARES:
        return max(height, width) / encoder.size * encoder.patch
    return encoder.cell if name == "qwen" else encoder.patch


def square_about(x: float, y: float, side: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a square of whole pixels."""
    left, top = (max(0, round(centre - side / 2)) for centre in (x, y))
    return left, top, round(x + side / 2), round(y + side / 2)


def most_changed(seen: Tokens, empty: Tokens) -> torch.Tensor:
    """(x, y) in 0..1 of the valid token that differs most."""
    change = (seen.tokens - empty.tokens).norm(dim=-1)[0, 0].masked_fill(~seen.mask[0, 0], -1)
    return seen.positions[0, 0, change.argmax()]


def farthest_miss(name: str, encoder: Encoder, height: int, width: int) -> float:
    """How far outside the square, in cells, the most changed token lies at worst, over places spread over the frame.

    A neighbour's centre is half a cell away.
    """
    blank = torch.zeros(1, 1, height, width, 3, dtype=torch.uint8)
    empty, size = encoder(blank), torch.tensor([width, height])
    side = cell_pixels(name, encoder, height, width)
    centres = empty.positions[0, 0][empty.mask[0, 0]] * size
    spread = torch.linspace(0, len(centres) - 1, PLACES).round().long()
    misses = []
    for x, y in centres[spread].tolist():
        left, top, right, bottom = square_about(x, y, side)
        frames = blank.clone()
        frames[:, :, top:bottom, left:right] = 255
        across, down = (most_changed(encoder(frames), empty) * size).tolist()
        misses += [left - across, across - right, top - down, down - bottom]
    return max(misses) / side


@pytest.mark.parametrize("name", small.NAMES)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80), (96, 32)])
def test_the_token_that_changes_most_lies_in_the_square(placed, name, height, width):
    assert farthest_miss(name, placed(name), height, width) <= 0.25 + CONVOLUTIONS.get(name, 0)


@pytest.mark.parametrize("name", [name for name in small.NAMES if getattr(name, "values", [name])[0] in small.SQUARES])
@pytest.mark.parametrize(("height", "width"), [(37, 53), (91, 30)])
def test_padding_does_not_shift_positions(placed, name, height, width):
    assert farthest_miss(name, placed(name), height, width) <= 0.25 + CONVOLUTIONS.get(name, 0)


@pytest.mark.parametrize("name", small.NAMES)
def test_positions_span_the_frame_and_stay_in_it(encoder, name):
    made = encoder(name)(small.noise(2, 3, 48, 80))
    assert made.positions.dtype == torch.float32
    seen = made.positions[made.mask]
    assert (seen > 0).all()
    assert (seen < 1).all()
    # The two outermost columns are as far from the frame's edges as each other: nothing was cropped at one side.
    assert seen[:, 0].min().item() == pytest.approx(1 - seen[:, 0].max().item(), abs=0.02)


def test_the_test_sees_a_lost_raster_order(encoder, monkeypatch):
    premerge = encoder("qwen_premerge")
    monkeypatch.setattr(premerge, "in_raster_order", lambda states, grid: states)
    assert farthest_miss("qwen_premerge", premerge, 48, 80) > 1


def test_the_test_sees_shuffled_patches(encoder, monkeypatch):
    mae = encoder("mae")
    shuffled = mae.model.forward
    torch.manual_seed(0)
    monkeypatch.setattr(mae.model, "forward", lambda pixels, noise, **said: shuffled(pixels, **said))
    assert farthest_miss("mae", mae, 64, 64) > 1
