"""int8 tokens: the error bound for any values, what cannot be quantised, and the cosine that real tokens keep."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from models.data.moving_shapes import render_clip
from models.data.quantisation import LEAST_COSINE, QuantisationError, dequantise, quantise, token_cosine
from models.encoders.registry import load_encoder
from models.standins.shelf import folder

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=16)
TOKENS = arrays(np.float16, array_shapes(min_dims=2, max_dims=4, max_side=5), elements=FINITE)


@given(TOKENS)
def test_no_value_is_off_by_more_than_half_a_scale(values):
    made, scales = quantise(values)
    assert (made.dtype, scales.dtype) == (np.int8, np.float32)
    assert made.shape == values.shape
    assert scales.shape == values.shape[-1:]
    assert made.min() >= -127
    error = np.abs(values.astype(np.float64) - dequantise(made, scales))
    rounding = 1 + 1e-4  # of float32, in x / scale and in q * scale
    assert (error <= scales.astype(np.float64) / 2 * rounding).all()


@given(TOKENS)
def test_the_largest_of_a_channel_is_kept_and_zeros_stay_zeros(values):
    made, scales = quantise(values)
    flat, restored = (x.reshape(-1, values.shape[-1]) for x in (values, dequantise(made, scales)))
    assert np.allclose(np.abs(restored).max(0), np.abs(flat).max(0), rtol=1e-6, atol=0)
    assert not restored[flat == 0].any()


def test_a_constant_zero_channel_has_scale_zero_and_disturbs_no_other():
    values = np.zeros((2, 3, 2), np.float16)
    values[..., 1] = np.arange(6).reshape(2, 3)
    made, scales = quantise(values)
    assert scales[0] == 0
    assert np.isfinite(dequantise(made, scales)).all()
    assert np.allclose(dequantise(made, scales)[..., 1], values[..., 1], atol=scales[1] / 2)


def test_an_outlier_is_kept_and_costs_only_its_own_channel():
    values = np.random.default_rng(0).standard_normal((4, 8, 3)).astype(np.float16)
    calm = dequantise(*quantise(values))
    values[0, 0, 0] = 1000
    restored = dequantise(*quantise(values))
    assert restored[0, 0, 0] == pytest.approx(1000, rel=1e-6)
    assert np.array_equal(restored[..., 1:], calm[..., 1:])
    assert token_cosine(values, restored).min() < LEAST_COSINE


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(QuantisationError, match="NaN or infinity has no int8 form; mend"):
        quantise(np.array([[1.0, bad]], np.float16))


def test_no_values_are_refused():
    with pytest.raises(QuantisationError, match=r"values are \[0, 4\]: nothing to quantise"):
        quantise(np.empty((0, 4), np.float16))


def test_the_cosine_of_tokens_of_zeros_is_defined():
    zero, one = np.zeros((1, 2)), np.array([[3.0, 4.0]])
    assert token_cosine(zero, zero) == 1
    assert token_cosine(zero, one) == token_cosine(one, zero) == 0
    assert token_cosine(one, -2 * one) == pytest.approx(-1)


def test_standin_dinov2_tokens_of_generated_clips_keep_their_cosine():
    """The bound of design §4.8, on tokens that a trained DINOv2 made: least and mean over all of them."""
    clips = np.stack([render_clip(seed, frames=9, size=64).frames for seed in range(16)])
    encoder = load_encoder("dinov2", folder("dinov2"), stride=2)
    with torch.no_grad():
        tokens = encoder(torch.from_numpy(clips)).tokens.numpy().astype(np.float16)
    cosine = token_cosine(tokens, dequantise(*quantise(tokens)))
    assert cosine.shape == tokens.shape[:-1]
    assert LEAST_COSINE <= cosine.min() <= cosine.mean() <= 1 + 1e-9
