"""What holds for every fusion, whatever its kind: shapes, places, masks, absent streams, gates, seeds.

Fusions are looked at a little off their start: there most branches are 0 and pass nothing; see test_start.py.
"""

import dataclasses
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoders.base import Tokens, on_grid
from models.fusion.base import Fusion
from models.fusion.blocks import CrossAttentionBlock
from models.fusion.build import build
from models.fusion.config import FusionConfig, FusionError, proposed
from models.training.config import from_document, from_json, to_json
from tests.models.fusion.toy import SMALL, VARIANTS, masked, moved, permuted, streams

every = pytest.mark.parametrize("name", VARIANTS)
SEEDS = st.integers(0, 2**31 - 1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def fusion_of(name: str, **choices) -> Fusion:
    torch.manual_seed(1)
    return moved(build(dataclasses.replace(VARIANTS[name], **choices))).eval()


def outputs(fusion: Fusion, spatial: Tokens | None, semantic: Tokens | None) -> torch.Tensor:
    """All that the decoder gets, [B, values]."""
    with torch.no_grad():
        out = fusion(spatial, semantic)
    return torch.cat([out.latent_tokens.flatten(1), out.semantic_tokens.flatten(1)], dim=1)


def near(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@every
@pytest.mark.parametrize("frames", [1, 3])
def test_same_conditioning_from_every_kind(name, frames):
    spatial, semantic = streams(frames=frames)
    for given_ in ((spatial, semantic), (spatial, None)):
        out = fusion_of(name)(*given_)
        assert out.latent_tokens.shape == (2, frames, 16, 6)
        assert out.semantic_tokens.shape == (2, 3, 14)
        assert out.hidden.shape == (2, frames, 16, 32)
        assert out.latents().shape == (2, 6, frames, 4, 4)
        assert all(x.isfinite().all() for x in (out.latent_tokens, out.semantic_tokens, out.hidden))
    without_captions = fusion_of(name, semantic_queries=0)(spatial, semantic)
    assert without_captions.semantic_tokens.shape == (2, 0, 14)
    assert without_captions.latent_tokens.shape == (2, frames, 16, 6)


@pytest.mark.parametrize("kind", ["qformer", "concat", "film", "perceiver"])
def test_real_sizes_run_on_the_meta_device(kind):
    with torch.device("meta"):
        fusion = build(proposed(kind=kind))
        out = fusion(on_grid(torch.empty(2, 5, 256, 1536), 16, 16), on_grid(torch.empty(2, 5, 64, 3584), 8, 8))
    assert out.latent_tokens.shape == (2, 5, 64, 128)
    assert out.semantic_tokens.shape == (2, 8, 4096)


@every
def test_bf16_autocast_is_finite_and_close(name):
    fusion, (spatial, semantic) = fusion_of(name), streams()
    with torch.autocast("cpu", torch.bfloat16):
        low = outputs(fusion, spatial, semantic)
    assert low.isfinite().all()
    assert (low.float() - outputs(fusion, spatial, semantic)).abs().mean() < 0.05


@every
def test_gradients_reach_every_parameter(name):
    fusion = fusion_of(name, stream_dropout=0.7).train()  # so that some clips read either null
    out = fusion(*streams(16))
    (out.latent_tokens.square().mean() + out.semantic_tokens.square().mean()).backward()
    unreached = [n for n, p in fusion.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unreached == []


@every
def test_equal_seeds_give_equal_bits(name):
    spatial, semantic = streams(8)
    seen = []
    for _ in range(2):
        fusion = fusion_of(name, stream_dropout=0.5).train()
        seen.append(fusion(spatial, semantic).latent_tokens)
    assert torch.equal(*seen)
    torch.manual_seed(2)
    assert not torch.equal(build(VARIANTS[name]).train()(spatial, semantic).latent_tokens, seen[0])


@every
def test_the_order_of_tokens_does_not_matter(name):
    fusion, (spatial, semantic) = fusion_of(name), streams()
    near(outputs(fusion, permuted(spatial), permuted(semantic)), outputs(fusion, spatial, semantic))


@every
def test_when_matters(name):
    fusion, (spatial, semantic) = fusion_of(name), streams()
    backwards = Tokens(spatial.tokens.flip(1), spatial.positions, spatial.mask)
    assert (outputs(fusion, backwards, semantic) - outputs(fusion, spatial, semantic)).abs().max() > 1e-3


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "concat"])
def test_where_matters(name):
    fusion, (spatial, semantic) = fusion_of(name), streams()
    moved = permuted(spatial, positions=False)
    assert (outputs(fusion, moved, semantic) - outputs(fusion, spatial, semantic)).abs().max() > 1e-2


def test_film_answers_in_the_cell_and_concat_in_the_frame_that_changed():
    spatial, semantic = streams()
    changed = Tokens(spatial.tokens.clone(), spatial.positions, spatial.mask)
    changed.tokens[:, 1, 6] = torch.randn(2, 12)
    for kind in ("film", "concat"):
        fusion = fusion_of(kind)
        apart = (fusion(changed, semantic).latent_tokens - fusion(spatial, semantic).latent_tokens).abs().amax((0, 3))
        assert apart[[0, 2]].max() == 0
        others = torch.cat([apart[1, :6], apart[1, 7:]])
        assert apart[1, 6] > 20 * others.max() if kind == "film" else others.min() > 1e-4


@every
@given(seed=SEEDS, share=st.floats(0.1, 0.9))
@settings(max_examples=8, deadline=None)
def test_a_masked_token_has_no_influence(name, seed, share):
    """Neither its content nor its place, in whatever pattern; every clip keeps one token."""
    torch.manual_seed(seed)
    seen, dirty = [], []
    for stream in streams():
        mask = torch.rand(stream.mask.shape) < share
        mask[:, 0, 0] = True
        seen.append(masked(stream, mask))
        dirty.append(masked(stream, mask, noise=1e3))
    fusion = fusion_of(name)
    near(outputs(fusion, *dirty), outputs(fusion, *seen))


@every
def test_what_is_masked_may_be_nan(name):
    fusion, (spatial, semantic) = fusion_of(name).train(), streams()
    semantic.mask[:, :, 2:] = False
    semantic.tokens[:, :, 2:] = float("nan")
    out = fusion(spatial, semantic)
    out.latent_tokens.sum().backward()
    assert out.latent_tokens.isfinite().all()
    assert all(p.grad.isfinite().all() for p in fusion.parameters() if p.grad is not None)


@every
@pytest.mark.parametrize("absent", ["spatial", "semantic"])
def test_an_absent_stream_equals_a_fully_masked_one(name, absent):
    fusion, (spatial, semantic) = fusion_of(name), streams()
    none = torch.zeros_like((spatial if absent == "spatial" else semantic).mask)
    if absent == "spatial":
        near(outputs(fusion, None, semantic), outputs(fusion, masked(spatial, none), semantic))
    else:
        near(outputs(fusion, spatial, None), outputs(fusion, spatial, masked(semantic, none)))


@every
def test_one_clip_without_a_stream_leaves_the_others_alone(name):
    fusion, (spatial, semantic) = fusion_of(name), streams()
    whole = outputs(fusion, spatial, semantic)
    spatial.mask[1] = False
    semantic.mask[1] = False
    half = outputs(fusion, spatial, semantic)
    near(half[0], whole[0])
    assert half[1].isfinite().all()  # nothing to read at all, and still an answer
    assert (half[1] - whole[1]).abs().max() > 1e-3


@every
def test_both_streams_are_listened_to_and_a_closed_gate_changes_it(name):
    fusion, (spatial, semantic) = fusion_of(name), streams()
    whole = outputs(fusion, spatial, semantic)
    for stream in range(2):
        other = list(streams())
        mixed = (other[0], semantic) if stream == 0 else (spatial, other[1])
        assert (outputs(fusion, *mixed) - whole).abs().max() > 1e-3
    gates = fusion.gates()
    assert gates.shape[1] == 2
    torch.testing.assert_close(gates, torch.full_like(gates, 0.8808), atol=1e-4, rtol=0)  # equal: no stream leads
    with torch.no_grad():
        for gate in (p for n, p in fusion.named_parameters() if n.endswith("gate")):
            gate.fill_(-100)
    assert fusion.gates().max() < 1e-6
    assert (outputs(fusion, spatial, semantic) - whole).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["concat", "film", "perceiver"])
def test_with_both_gates_closed_no_stream_is_heard(kind):
    fusion = fusion_of(kind)
    with torch.no_grad():
        for gate in (p for n, p in fusion.named_parameters() if n.endswith("gate")):
            gate.fill_(-100)
    near(outputs(fusion, *streams()), outputs(fusion, *streams()))


@pytest.mark.parametrize("kind", ["qformer", "perceiver"])
def test_gates_start_as_a_common_factor_of_what_is_read(kind):
    """A fusion without gates whose value maps are 0.88 times as large gives the same."""
    fusion, tokens = fusion_of(kind), streams()
    gated = outputs(fusion, *tokens)
    with torch.no_grad():
        for block in fusion.blocks:
            assert isinstance(block, CrossAttentionBlock)
            factor = block.gate.sigmoid()[0].item()
            block.gate.fill_(100)
            block.value.weight.mul_(factor)
            block.value.bias.mul_(factor)
    near(outputs(fusion, *tokens), gated)


@pytest.mark.parametrize("name", [name for name in VARIANTS if "qformer" in name or "perceiver" in name])
def test_attention_has_a_row_for_every_output_and_says_who_was_heard(name):
    out = fusion_of(name)(*streams(), return_attention=True)
    assert [layer.shape for layer in out.attention] == [(2, 51, 56)] * 2
    torch.testing.assert_close(out.attention[0].sum(-1), torch.ones(2, 51))
    share = out.semantic_share()
    assert share.shape == (2, 3, 16)
    assert ((share > 0) & (share < 1)).all()
    assert share.std() > 1e-4


def test_a_kind_without_attention_says_so():
    out = fusion_of("film")(*streams(), return_attention=True)
    with pytest.raises(ValueError, match="concat and film have none"):
        out.semantic_share()


@pytest.mark.parametrize("name", ["qformer global", "perceiver hybrid global"])
def test_global_queries_say_the_same_of_every_frame(name):
    out = fusion_of(name)(*streams())
    assert torch.equal(out.latent_tokens[:, 0], out.latent_tokens[:, 2])
    assert not torch.equal(out.latent_tokens[:, :, 0], out.latent_tokens[:, :, 1])


def _keep_first(seen: list[torch.Tensor], _: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    seen.append(inputs[0])


def test_spatial_queries_start_from_the_tokens_of_their_cell():
    spatial, semantic = streams()
    changed = Tokens(spatial.tokens.clone(), spatial.positions, spatial.mask)
    changed.tokens[:, 1, 6] = torch.randn(2, 12)
    for name, follows in [("qformer", False), ("qformer spatial", True), ("qformer hybrid", True)]:
        fusion, seen = fusion_of(name), list[torch.Tensor]()
        fusion.blocks[0].register_forward_pre_hook(partial(_keep_first, seen))
        fusion(spatial, semantic)
        fusion(changed, semantic)
        apart = (seen[1] - seen[0]).abs().amax((0, 2))
        assert apart.argmax() == 16 + 6 if follows else apart.max() == 0
    assert "queries" not in dict(fusion_of("qformer spatial").named_parameters())


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"kind": "sum"}, "kind='sum' is unknown; one of qformer, concat, film, perceiver"),
        ({"query_mode": "random"}, "query_mode='random' is unknown; one of learned, spatial, hybrid"),
        ({"kind": "film", "query_mode": "spatial"}, "film asks nothing"),
        ({"kind": "concat", "global_queries": True}, "concat asks nothing"),
        ({"heads": 0}, "heads=0 must be at least 1"),
        ({"layers": 0}, "layers=0 must be at least 1"),
        ({"latent_grid": (4, 0)}, r"latent_grid=\(4, 0\) must be at least 1"),
        ({"semantic_queries": -1}, "semantic_queries=-1 must be at least 0"),
        ({"dim": 40}, "dim=40 must be a multiple of 16"),
    ],
)
def test_a_bad_configuration_gets_one_line(choices, says):
    with pytest.raises(FusionError, match=says) as caught:
        dataclasses.replace(SMALL, **choices)
    assert "\n" not in str(caught.value)


def test_streams_that_do_not_fit_get_one_line():
    fusion, (spatial, semantic) = fusion_of("film"), streams()
    for bad, says in [
        ((None, None), "both streams are absent"),
        ((spatial, streams(3)[1]), "2 clips of spatial and 3 of semantic"),
        ((Tokens(spatial.tokens, spatial.positions[:, :, :4], spatial.mask), semantic), "need positions"),
        ((Tokens(spatial.tokens, spatial.positions, spatial.mask[:, :1]), semantic), "and a mask"),
        ((on_grid(torch.randn(2, 3, 16, 11), 4, 4), semantic), "another encoder"),
        ((on_grid(torch.randn(2, 0, 16, 12), 4, 4), semantic), "for an absent stream give None"),
    ]:
        with pytest.raises(FusionError, match=says) as caught:
            fusion(*bad)
        assert "\n" not in str(caught.value)


def test_a_configuration_from_before_there_were_kinds_is_a_qformer():
    document = dataclasses.asdict(SMALL)
    for key in ("kind", "query_mode", "global_queries"):
        del document[key]
    assert from_document(FusionConfig, document) == SMALL


@every
def test_a_configuration_reads_back_equal(name):
    assert from_json(FusionConfig, to_json(VARIANTS[name])) == VARIANTS[name]
