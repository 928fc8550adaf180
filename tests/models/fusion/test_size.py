"""The arithmetic of a fusion's size is that of its modules."""

import dataclasses
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fusion.build import KINDS, build
from models.fusion.config import FusionConfig, FusionError, Kind, QueryMode, as_written, proposed, sizes_of
from models.fusion.size import count, mlp_width, parameters
from tests.models.fusion.toy import SMALL, VARIANTS


def of_modules(config: FusionConfig, width: int) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in KINDS[config.kind](config, width).parameters())


@pytest.mark.parametrize("name", VARIANTS)
def test_it_is_that_of_the_module_that_is_built(name):
    config = VARIANTS[name]
    assert parameters(config) == sum(parameter.numel() for parameter in build(config).parameters())


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("config", [proposed(), as_written()], ids=["proposed", "as_written"])
def test_it_is_that_of_the_named_configurations(config, kind):
    config = dataclasses.replace(config, kind=kind)
    assert parameters(config) == of_modules(config, mlp_width(config))


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(get_args(Kind)),
    mode=st.sampled_from(get_args(QueryMode)),
    widths=st.tuples(*[st.integers(1, 40)] * 3),
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dim=st.integers(2, 5).map(lambda n: 16 * n),
    layers=st.integers(1, 3),
    queries=st.integers(0, 4),
    global_queries=st.booleans(),
    mlp=st.integers(1, 12).map(lambda n: 8 * n),
)
def test_it_is_that_of_any_module(kind, mode, widths, grid, dim, layers, queries, global_queries, mlp):
    attends = kind in ("qformer", "perceiver")
    config = dataclasses.replace(
        SMALL,
        kind=kind,
        query_mode=mode if attends else "learned",
        global_queries=global_queries and attends,
        spatial_dim=widths[0],
        semantic_dim=widths[1],
        caption_channels=widths[2],
        latent_grid=grid,
        dim=dim,
        layers=layers,
        semantic_queries=queries,
    )
    assert count(config, mlp) == of_modules(config, mlp)


def test_the_named_configurations_are_what_their_names_set():
    for name, config in (("proposed", proposed()), ("as_written", as_written())):
        assert {size: getattr(config, size) for size in sizes_of(name)} == sizes_of(name)
    with pytest.raises(FusionError, match=r"no configuration 'huge'; there are proposed, as_written"):
        sizes_of("huge")
