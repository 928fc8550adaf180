"""LTX-Video's published sizes, counted on the meta device."""

import pytest

from models.decoder import published

PARAMETERS = {"transformer": 1_923_385_472, "text_encoder": 4_762_310_656}


def count(name: str) -> int:
    return sum(parameter.numel() for parameter in published.on_meta(name).parameters())


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parts_are_as_large_as_published(name):
    assert count(name) == PARAMETERS[name]


def test_the_vae_makes_the_proposals_latents():
    """§1.3: 128 channels; design §4.2: 8 x 8 cells at 256 pixels."""
    vae = published.on_meta("vae")
    assert vae.config.latent_channels == 128
    assert (vae.spatial_compression_ratio, vae.temporal_compression_ratio) == (32, 8)


def test_nothing_is_allocated():
    assert all(parameter.is_meta for name in published.NAMES for parameter in published.on_meta(name).parameters())


def test_an_unknown_part_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no part 'unet'; there are transformer, vae, text_encoder"):
        published.on_meta("unet")
