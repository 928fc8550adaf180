"""What a fusion costs, against counts by hand."""

from dataclasses import replace

import torch

from models.fusion.build import build
from models.fusion.size import parameters
from models.studies.cost import cost, flops
from tests.models.training import toy


def test_a_matrix_product_is_two_flops_an_element():
    layer = torch.nn.Linear(6, 4, bias=False)
    assert flops(lambda: layer(torch.zeros(3, 6))) == 2 * 3 * 6 * 4


def test_parameters_and_tokens_are_the_fusions():
    found = cost(build(toy.FUSION).eval(), toy.data(), "hybrid")
    assert found.parameters == parameters(toy.FUSION)
    assert found.tokens == 2 * 16 + 2 * 4


def test_arms_read_as_many_tokens_and_depth_costs():
    shallow, deep = (build(replace(toy.FUSION, layers=layers)).eval() for layers in (1, 2))
    both, one = cost(shallow, toy.data(), "hybrid"), cost(shallow, toy.data(), "dino_only")
    assert (both.tokens, both.parameters) == (one.tokens, one.parameters)
    assert one.flops < both.flops < cost(deep, toy.data(), "hybrid").flops
