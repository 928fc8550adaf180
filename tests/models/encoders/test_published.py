"""The published sizes, counted on the meta device."""

import pytest

from models.encoders import published

PAPERS = {
    "dinov2-small": 22e6,
    "dinov2-base": 86e6,
    "dinov2-large": 304e6,
    "sam-vit-huge": 636e6,
    "siglip-so400m": 428e6,
    "vit-mae-large": 304e6,
    "eva02-clip-large": 304e6,
}
"""As their papers round them: the vision tower alone."""


def test_the_two_streams_of_the_proposal():
    assert published.parameters("dinov2-giant") == 1_136_480_768
    assert published.parameters("qwen2.5-vl-7b") == 8_292_166_656
    assert published.on_meta("dinov2-giant").config.hidden_size == 1536
    assert published.on_meta("qwen2.5-vl-7b").config.text_config.hidden_size == 3584


@pytest.mark.parametrize("name", PAPERS)
def test_the_others_are_as_large_as_their_papers_say(name):
    if name.startswith("eva"):
        pytest.importorskip("timm")
    assert published.parameters(name) == pytest.approx(PAPERS[name], rel=0.01)


@pytest.mark.parametrize("size", published.DINOV2)
def test_registers_are_four_tokens_more(size):
    plain, registers = (published.parameters(f"dinov2{kind}-{size}") for kind in ("", "-with-registers"))
    assert registers - plain == 4 * published.DINOV2[size]["hidden_size"]


def test_nothing_is_allocated():
    assert all(parameter.is_meta for parameter in published.on_meta("dinov2-giant").parameters())


def test_an_unknown_size_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no published encoder 'dinov2-huge'; there are dinov2-small"):
        published.on_meta("dinov2-huge")


def test_mobile_sam_is_a_hundredth_of_sam():
    assert published.parameters("mobile-sam") < published.parameters("sam-vit-huge") / 100
