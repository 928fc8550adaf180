"""What every encoder gives, and what none of them takes."""

import copy

import pytest
import torch

from models.encoders.base import Encoder, PatchEncoder
from tests.models.encoders import small


@pytest.mark.parametrize("name", small.NAMES)
@pytest.mark.parametrize("time", [1, 2, 5])
def test_shapes_of_long_and_short_clips(encoder, name, time):
    frozen = encoder(name)
    made = frozen(small.noise(2, time, 48, 80))
    steps = -(-time // small.STRIDE)
    assert made.tokens.shape == (2, steps, made.mask.shape[2], frozen.dim)
    assert made.positions.shape == (*made.mask.shape, 2)
    assert made.mask.dtype == torch.bool
    assert name in small.SQUARES or made.mask.all()


@pytest.mark.parametrize("name", small.NAMES)
def test_a_batch_gives_what_its_clips_give(encoder, name):
    frozen, frames = encoder(name), small.noise(2, 3, 48, 64)
    together = frozen(frames).tokens
    alone = torch.cat([frozen(clip[None]).tokens for clip in frames])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in small.NAMES if name != "qwen"])
def test_a_step_is_the_frame_that_begins_it(encoder, name):
    frozen, frames = encoder(name), small.noise(1, 5, 48, 64)
    changed = frames.clone()
    changed[:, 2] = 255 - changed[:, 2]
    difference = (frozen(frames).tokens - frozen(changed).tokens).abs().amax(dim=(0, 2, 3))
    assert (difference > 1e-3).tolist() == [False, True, False]


@pytest.mark.parametrize("name", small.NAMES)
def test_a_clip_smaller_than_a_patch_is_refused(encoder, name):
    frozen = encoder(name)
    with pytest.raises(ValueError, match=rf"{frozen.name}: frames of 7x64 (do not tile|are smaller than a patch)"):
        frozen(small.noise(1, 2, 7, 64))


@pytest.mark.parametrize("name", small.NAMES)
def test_odd_sizes_are_refused_or_placed(encoder, name):
    frozen, frames = encoder(name), small.noise(1, 1, 61, 83)
    if name in small.SQUARES:
        made = frozen(frames)
        assert 0 < made.mask.sum() < made.mask.numel()
        return
    with pytest.raises(ValueError, match=f"{frozen.name}: frames of 61x83 do not tile into .* resize at ingest"):
        frozen(frames)


@pytest.mark.parametrize("name", small.NAMES)
def test_what_is_no_clip_is_refused(encoder, name):
    frozen = encoder(name)
    with pytest.raises(ValueError, match=rf"{frozen.name}: clips are uint8 \[B, T, H, W, 3\], not float32"):
        frozen(torch.rand(1, 1, 64, 64, 3))
    with pytest.raises(ValueError, match=r"not uint8 \[1, 64, 64, 3\]"):
        frozen(small.noise(1, 64, 64))
    with pytest.raises(ValueError, match=rf"{frozen.name}: clips of shape \[1, 0, 64, 64, 3\] hold no frame"):
        frozen(small.noise(1, 0, 64, 64))
    with pytest.raises(ValueError, match=rf"{frozen.name}: clips of shape \[0, 1, 64, 64, 3\] hold no frame"):
        frozen(small.noise(0, 1, 64, 64))


@pytest.mark.parametrize("name", small.NAMES)
def test_half_precision_that_overflows_is_refused(encoder, name):
    frozen, frames = copy.deepcopy(encoder(name)), small.noise(1, 1, 64, 64)
    for parameter in frozen.parameters():
        parameter.mul_(300)
    with pytest.raises(
        ValueError, match=rf"{frozen.name}: tokens of clips \[0\] of the batch are not finite in float16"
    ):
        frozen.half()(frames)


@pytest.mark.parametrize("name", small.NAMES)
def test_bfloat16_keeps_positions_exact(encoder, name):
    frozen, frames = encoder(name), small.noise(1, 1, 48, 80)
    full, brief = frozen(frames), copy.deepcopy(frozen).to(torch.bfloat16)(frames)
    assert brief.tokens.dtype == torch.bfloat16
    assert torch.equal(full.positions, brief.positions)
    likeness = torch.cosine_similarity(full.tokens, brief.tokens.float(), dim=-1)
    assert likeness.mean() > 0.98


def test_the_contract_alone_does_not_encode():
    said = {"weights_sha256": "", "standin": False}
    with pytest.raises(TypeError, match="it is the contract only"):
        Encoder(None, **said).encode(small.noise(1, 1, 8, 8))
    with pytest.raises(TypeError, match="it is the contract only"):
        PatchEncoder(None, dim=1, patch=8, stride=1, **said).patch_tokens(small.noise(1, 8, 8))
