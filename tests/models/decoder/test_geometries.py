"""Decoders of other sizes than LTX 2B's: every size comes from the checkpoint, none from here."""

from dataclasses import dataclass

import pytest
import torch
from diffusers import LTXVideoTransformer3DModel

from models.decoder.conditions import Conditions
from models.decoder.grid import GridError, VideoGrid
from models.decoder.sampling import SamplingConfig, sample
from models.decoder.vae import LatentGeometry
from tests.models.decoder import small

SIZE = (32, 48)


@dataclass(frozen=True)
class Case:
    """One decoder: arguments of its VAE and its transformer, the geometry that they make, a clip's length."""

    vae: dict[str, int]
    transformer: dict[str, int]
    geometry: LatentGeometry
    frames: int


CASES = {
    "one token a cell": Case(
        {"channels": 24, "patch": 4, "scalings": 2}, {"captions": 40, "heads": 4}, LatentGeometry(24, 16, 4), 17
    ),
    "patches of 2x2": Case(
        {"channels": 6, "patch": 1, "scalings": 3},
        {"captions": 56, "heads": 3, "patch": 2},
        LatentGeometry(6, 8, 8),
        9,
    ),
    "patches of 3x2x2": Case(
        {"channels": 5, "patch": 2, "scalings": 1},
        {"captions": 16, "patch": 2, "patch_t": 3},
        LatentGeometry(5, 4, 2),
        17,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_clip_goes_through_a_decoder_of_other_sizes(case):
    geometry, frames, choices = case.geometry, case.frames, case.transformer
    vae = small.vae(**case.vae)
    assert vae.geometry == geometry
    clip = torch.randint(0, 256, (2, frames, *SIZE, 3), dtype=torch.uint8)
    latents = vae.encode(clip)
    shape = geometry.shape(frames, *SIZE)
    assert latents.shape == (2, geometry.channels, *shape)

    width = geometry.channels * choices.get("patch", 1) ** 2 * choices.get("patch_t", 1)
    generator = small.generator(small.transformer(width, **choices), VideoGrid(*shape, geometry))
    words = small.captions(choices["captions"])(["a small red ring moves up then left", "a large circle"])
    assert words[0].shape[-1] == choices["captions"]
    told = Conditions(*words, latents=generator.pack(latents))
    drawn = sample(generator, told, SamplingConfig(steps=2), torch.Generator().manual_seed(0))
    assert drawn.shape == latents.shape
    assert vae.decode(drawn).shape == (2, 3, frames, *SIZE)


def test_a_transformer_of_another_vae_is_refused():
    with pytest.raises(GridError, match=r"tokens of 24 channels, the VAE's latents make 6;"):
        small.generator(small.transformer(24), VideoGrid(2, 4, 4, LatentGeometry(6, 8, 8)))


LTX_13B = {"num_layers": 48, "num_attention_heads": 32, "attention_head_dim": 128, "cross_attention_dim": 4096}
"""What sets LTX-Video 0.9.7's transformer apart from the 2B's, as diffusers' conversion script has it."""


def test_ltx_13b_takes_the_adapters_and_the_conditioning_of_2b():
    """At its full size, on the meta device: 224 pixels and 9 frames through every layer."""
    geometry, clips, rank = LatentGeometry(128, 32, 8), 2, 16
    with torch.device("meta"):
        network = LTXVideoTransformer3DModel(**LTX_13B)
        frozen = sum(parameter.numel() for parameter in network.parameters())
        generator = small.generator(network, VideoGrid(*geometry.shape(9, 224, 224), geometry))
        generator.add_lora(rank)
        tokens = generator.pack(torch.zeros(clips, 128, 2, 7, 7))
        told = Conditions(torch.zeros(clips, 8, network.config.caption_channels), latents=tokens)
        velocity = generator.velocity(tokens, torch.zeros(clips), told)
    assert 12.5e9 < frozen < 13.5e9
    assert velocity.shape == tokens.shape == (clips, 98, 128)
    trained = sum(parameter.numel() for parameter in generator.parameters() if parameter.requires_grad)
    width, projections = LTX_13B["num_attention_heads"] * LTX_13B["attention_head_dim"], 8 * LTX_13B["num_layers"]
    assert trained == projections * rank * 2 * width
