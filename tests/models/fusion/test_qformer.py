"""The Q-Former fusion: its budget, its shapes, its places, its null."""

import pytest
import torch

from models.encoders.base import Tokens, on_grid
from models.fusion.conditioning import cells_of
from models.fusion.config import FusionConfig, FusionError, as_written, proposed
from models.fusion.qformer import QFormerFusion
from tests.models.fusion.toy import SMALL, permuted, streams

BLOCK = [
    *("ahead", "content_in_query", "gate", "norm.weight", "norm.bias"),
    *(f"{name}.{part}" for name in ("query", "key", "value", "out") for part in ("weight", "bias")),
    *("mlp_norm.weight", "mlp_norm.bias", "mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"),
]
STREAM = ["embedding", "null", "norm.weight", "norm.bias", "projection.weight", "projection.bias"]
NAMES = [
    *("content_in_key", "queries", "semantic_queries"),
    *(f"{stream}.{name}" for stream in ("spatial", "semantic") for name in STREAM),
    *("place_norm.weight", "place_norm.bias"),
    *(f"blocks.{layer}.{name}" for layer in range(2) for name in BLOCK),
    *(f"latent_head.{layer}.{part}" for layer in ("linear", "mlp.0", "mlp.2") for part in ("weight", "bias")),
    *(f"semantic_head.{layer}.{part}" for layer in (0, 1, 3) for part in ("weight", "bias")),
]
"""Parameters of `SMALL`, in the order in which checkpoints and optimizers know them."""


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def count(config: FusionConfig) -> int:
    return sum(p.numel() for p in QFormerFusion(config).parameters())


def test_parameter_budget_at_real_sizes():
    assert count(proposed()) == 24_726_289  # within §2.2's 15-25M
    assert count(proposed(semantic_queries=0)) == 23_503_121  # the design's 23.5M, without the caption head
    assert count(as_written()) == 56_876_177  # §1.3 as written is over the 50M


def test_one_output_for_each_latent_cell_and_caption_token():
    out = QFormerFusion(SMALL).eval()(*streams())
    assert out.latent_tokens.shape == (2, 3, 16, 6)
    assert out.semantic_tokens.shape == (2, 3, 14)
    assert out.hidden.shape == (2, 3, 16, 32)
    assert out.latents().shape == (2, 6, 3, 4, 4)
    assert torch.equal(cells_of(out.latents()), out.latent_tokens)


def test_a_token_is_known_by_its_position_and_not_by_its_index():
    fusion, (spatial, semantic) = QFormerFusion(SMALL).eval(), streams()
    reference = fusion(spatial, semantic).latent_tokens
    together = fusion(permuted(spatial), semantic).latent_tokens
    alone = fusion(permuted(spatial, positions=False), semantic).latent_tokens
    torch.testing.assert_close(together, reference, atol=1e-5, rtol=1e-4)
    assert (alone - reference).abs().max() > 1e-2


def test_frames_are_told_apart():
    fusion, (spatial, semantic) = QFormerFusion(SMALL).eval(), streams()
    reversed_ = Tokens(spatial.tokens.flip(1), spatial.positions, spatial.mask)
    difference = fusion(reversed_, semantic).latent_tokens - fusion(spatial, semantic).latent_tokens
    assert difference.abs().max() > 1e-2


def test_attention_starts_at_its_own_place_and_frame():
    out = QFormerFusion(SMALL).eval()(*streams(), return_attention=True)
    at_home = out.attention[0][:, :48, :48].diagonal(dim1=1, dim2=2).mean()
    assert at_home > 5 / 56  # five times an even share of the 56 tokens


@pytest.mark.parametrize("absent", ["spatial", "semantic"])
def test_an_absent_stream_is_its_null_at_equal_token_count(absent):
    fusion, (spatial, semantic) = QFormerFusion(SMALL).eval(), streams()
    whole = fusion(spatial, semantic, return_attention=True)
    half = fusion(*((None, semantic) if absent == "spatial" else (spatial, None)), return_attention=True)
    assert half.latent_tokens.shape == whole.latent_tokens.shape
    assert half.attention[0].shape == whole.attention[0].shape
    assert half.spatial_tokens == whole.spatial_tokens
    half.latent_tokens.sum().backward()
    assert getattr(fusion, absent).null.grad.abs().sum() > 0
    assert getattr(fusion, absent).projection.weight.grad is None


def test_without_any_stream_it_says_so():
    with pytest.raises(FusionError, match="both streams are absent"):
        QFormerFusion(SMALL)(None, None)


def test_tokens_of_another_encoder_are_refused():
    with pytest.raises(FusionError, match="another encoder"):
        QFormerFusion(SMALL)(on_grid(torch.randn(1, 3, 16, 11), 4, 4), None)


def test_masked_tokens_are_not_read():
    fusion, (spatial, semantic) = QFormerFusion(SMALL).eval(), streams()
    semantic.mask[:, :, 2:] = False
    changed = Tokens(semantic.tokens.clone(), semantic.positions, semantic.mask)
    changed.tokens[:, :, 2:] += 100
    torch.testing.assert_close(fusion(spatial, semantic).latent_tokens, fusion(spatial, changed).latent_tokens)


def test_a_closed_gate_silences_its_stream():
    fusion, (spatial, semantic) = QFormerFusion(SMALL).eval(), streams()
    keys = [block.key.weight for block in fusion.blocks]
    with torch.no_grad():
        for block, key in zip(fusion.blocks, keys):
            block.gate[1] = -100
            key.zero_()  # so that the attention itself cannot carry the VLM's content
    other = Tokens(torch.randn_like(semantic.tokens), semantic.positions, semantic.mask)
    torch.testing.assert_close(fusion(spatial, semantic).latent_tokens, fusion(spatial, other).latent_tokens)


def test_attention_sums_to_one_and_tells_the_streams_apart():
    out = QFormerFusion(SMALL).eval()(*streams(), return_attention=True)
    assert len(out.attention) == 2
    torch.testing.assert_close(out.attention[0].sum(-1), torch.ones(2, 51))
    share = out.semantic_share()
    assert share.shape == (2, 3, 16)
    assert ((share > 0) & (share < 1)).all()


def test_stream_dropout_loses_streams_in_training_only():
    fusion, (spatial, semantic) = QFormerFusion(SMALL), streams(64)
    a, b = fusion(spatial, semantic).latent_tokens, fusion(spatial, semantic).latent_tokens
    changed = (a - b).abs().flatten(1).amax(1) > 1e-6
    assert 0 < changed.sum() < 40
    fusion.eval()
    assert torch.equal(fusion(spatial, semantic).latent_tokens, fusion(spatial, semantic).latent_tokens)


def test_the_seeded_weights_and_answers_are_those_of_the_recorded_runs():
    """Checkpoints and recorded losses rest on names, order and draws: a change is made on purpose."""
    fusion = QFormerFusion(SMALL).eval()
    names = [name for name, _ in fusion.named_parameters()]
    assert names == NAMES
    assert torch.rand(1).item() == 0.4753575325012207  # as many numbers were drawn as then
    seed = torch.Generator().manual_seed(1)
    spatial = on_grid(torch.randn(2, 3, 16, 12, generator=seed), 4, 4)
    semantic = on_grid(torch.randn(2, 2, 4, 10, generator=seed), 2, 2)
    for given, where, what in [
        ((spatial, semantic), 0.44219603661784074, 0.17946441373455205),
        ((spatial, None), 0.4412750274027025, 0.18664879748775137),
        ((None, semantic), 0.3776587259490043, 0.16848663183017856),
    ]:
        out = fusion(*given)
        assert out.latent_tokens.double().abs().mean().item() == pytest.approx(where, rel=1e-6)
        assert out.semantic_tokens.double().abs().mean().item() == pytest.approx(what, rel=1e-6)


def test_training_loses_the_clips_that_it_lost():
    """Recorded as above: of 16 clips some lose a stream, and the generator stands where it stood."""
    fusion, seed = QFormerFusion(SMALL), torch.Generator().manual_seed(1)
    for batch in (2, 16):  # as recorded: two clips were drawn before
        spatial = on_grid(torch.randn(batch, 3, 16, 12, generator=seed), 4, 4)
        semantic = on_grid(torch.randn(batch, 2, 4, 10, generator=seed), 2, 2)
    torch.manual_seed(5)
    seen = fusion(spatial, semantic).latent_tokens
    assert torch.rand(1).item() == 0.044166386127471924
    assert seen.double().abs().mean().item() == pytest.approx(0.42733578217101037, rel=1e-6)
    assert (seen - fusion.eval()(spatial, semantic).latent_tokens).abs().flatten(1).amax(1).gt(1e-6).sum() > 0
