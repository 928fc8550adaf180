"""Edge F1 under shifts and by hand; mask IoU by hand; baselines; the range and shape checks all metrics share."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from skimage.segmentation import find_boundaries

from models.evaluation import baselines, temporal
from models.evaluation.edges import edge_f1, matched_edges, thin_edges
from models.evaluation.inputs import MetricInputError, check_clips, distinct, to_bytes
from models.evaluation.iou import mask_iou


def line(column: int, size: int = 64) -> np.ndarray:
    edges = np.zeros((1, 1, size, size), bool)
    edges[..., column] = True
    return edges


@pytest.mark.parametrize(("shift", "f1"), [(0, 1.0), (1, 1.0), (2, 0.0), (3, 0.0)])
def test_shift_of_a_line_at_64_px(shift, f1):
    """0.0075 of the diagonal is 0.68 px, so the least tolerance of 1 px holds."""
    assert edge_f1(line(20), line(20 + shift))[0] == f1


@pytest.mark.parametrize(("shift", "f1"), [(2, 1.0), (3, 0.0)])
def test_tolerance_grows_with_the_frame(shift, f1):
    assert edge_f1(line(20, 256), line(20 + shift, 256))[0] == f1  # 2.7 px


def test_one_true_pixel_takes_one_generated_pixel():
    true, made = np.zeros((2, 1, 9, 9), bool)
    true[0, 4, 4] = True
    made[0, 3:6, 4] = True
    assert matched_edges(true, made) == 1
    assert edge_f1(true[None], made[None])[0] == pytest.approx(2 * 1 / (1 + 3))


def test_matching_is_the_largest_and_not_greedy():
    """True at 4 and 6, generated at 5 and 7: taking 5 for 6 would leave 4 alone."""
    true, made = np.zeros((2, 1, 1, 12), bool)
    true[0, 0, [4, 6]] = True
    made[0, 0, [5, 7]] = True
    assert matched_edges(true, made) == 2


def test_frames_do_not_match_across_time_and_no_edges_is_undefined():
    true, made = np.zeros((2, 1, 2, 8, 8), bool)
    true[0, 0, 4, 4] = True
    made[0, 1, 4, 4] = True
    assert edge_f1(true, made)[0] == 0
    assert np.isnan(edge_f1(np.zeros((1, 1, 8, 8), bool), np.zeros((1, 1, 8, 8), bool))[0])


def test_thin_edges_lie_on_the_square(moving_square):
    frames, masks = moving_square
    edges = thin_edges(frames)
    outline = np.stack([find_boundaries(mask) for mask in masks.reshape(-1, 64, 64)]).reshape(masks.shape)
    near = binary_dilation(outline, np.ones((1, 1, 3, 3), bool))
    assert (edges & near).sum() > 0.95 * edges.sum()
    assert 40 < edges[0, 0].sum() < 80  # 4 x 16, thin
    assert np.isnan(edge_f1(*2 * [thin_edges(np.full((1, 3, 32, 32, 3), 90, np.uint8))])[0])


def test_mask_iou_by_hand():
    true, made = np.zeros((2, 3, 2, 4, 4), np.uint8)
    true[0, 0, :, :2], made[0, 0, :, 1:3] = 2, 1  # second frame empty in both: does not count
    true[1, :, 0, 0] = 1  # nothing generated
    made[2, :, 0, 0] = 1  # no object there: undefined
    np.testing.assert_allclose(mask_iou(true, made), [1 / 3, 0, np.nan])
    with pytest.raises(MetricInputError):
        mask_iou(true, made[:, :1])


def test_baselines_keep_shape_and_do_what_they_say(moving_square):
    frames = moving_square[0]
    last = baselines.copy_last(frames)
    assert (last == frames[:, -1:]).all()
    assert (baselines.copy_last(frames, known=1) == frames[:, :1]).all()
    still = baselines.mean_frame(frames)
    np.testing.assert_allclose(still[:, 0].astype(float), frames.mean(1), atol=0.5)
    assert (temporal.dynamic_degree(still) == 0).all()
    assert (baselines.shuffled(frames) == frames[::-1]).all()
    for n in (2, 3, 50):
        partner = baselines.others(n)
        assert sorted(partner) == list(range(n))
        assert (partner != np.arange(n)).all()
    with pytest.raises(MetricInputError):
        baselines.shuffled(frames[:1])


def test_dynamic_degree_by_hand():
    clip = np.zeros((1, 3, 8, 8, 3), np.uint8)
    clip[0, 1] = 255
    assert temporal.dynamic_degree(clip)[0] == 1
    clip[0, 2] = 255
    assert temporal.dynamic_degree(clip)[0] == 0.5


def test_wrong_values_are_named(moving_square):
    frames = moving_square[0]
    broken = frames.astype(np.float32)
    broken[1, 0, 0, 0, 0] = np.nan
    with pytest.raises(MetricInputError, match="NaN or infinite pixels in 1 of 2 clips, first clip 1"):
        check_clips(broken, "x")
    with pytest.raises(MetricInputError, match=r"clips are \[N,T,H,W,3\]"):
        check_clips(frames[0], "x")
    with pytest.raises(MetricInputError, match=r"int16 in \["):
        check_clips(frames.astype(np.int16), "x")


@pytest.mark.parametrize(("scale", "says"), [((0, 1), r"as of \[0, 1\]"), ((-1, 1), r"as of \[-1, 1\]")])
def test_bytes_cast_from_another_range_are_detected(scale, says, moving_square):
    low, high = scale
    unscaled = moving_square[0] / 255 * (high - low) + low
    unscaled[0, 0, :4, :4], unscaled[0, 0, 4:8, :4] = low, high
    with pytest.raises(MetricInputError, match=says):
        check_clips(unscaled.astype(np.int64).astype(np.uint8), "x")


@pytest.mark.parametrize("values", [(0,), (255,), (0, 255), (0, 1, 2)])
def test_black_white_and_dark_clips_are_clips(values):
    frames = np.resize(np.array(values, np.uint8), (1, 2, 8, 8, 3))
    assert check_clips(frames, "x") is frames


def test_decoded_clips_become_bytes():
    video = np.linspace(-1.2, 1.2, 2 * 3 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 3, 4, 4)
    frames = to_bytes(video)
    assert frames.shape == (2, 3, 4, 4, 3)
    assert (frames.min(), frames.max()) == (0, 255)
    with pytest.raises(MetricInputError, match="the range is"):
        to_bytes(video * 200)
    video[0, 0, 0, 0, 0] = np.nan
    with pytest.raises(MetricInputError, match="NaN"):
        to_bytes(video)


def test_frames_that_repeat_the_one_before_are_left_out_and_found_again():
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 8, 8, 3), np.uint8)
    frames[1] = frames[1, :1]
    frames[2, 2] = frames[2, 1]
    shown, places = distinct(frames)
    assert shown.shape == (4 + 1 + 3, 8, 8, 3)
    assert np.array_equal(shown[places], frames)
