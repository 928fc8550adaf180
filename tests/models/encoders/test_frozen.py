"""Frozen means frozen: no training mode, no gradient, no dropout, whatever a parent module does."""

import pytest
import torch

from tests.models.encoders import small


@pytest.mark.parametrize("name", small.NAMES)
def test_training_cannot_wake_an_encoder(encoder, name):
    frozen = encoder(name)
    torch.nn.ModuleDict({"encoder": frozen}).train()
    frozen.train()
    assert not any(module.training for module in frozen.modules())
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


@pytest.mark.parametrize("name", small.NAMES)
def test_no_dropout_and_no_gradient(encoder, name):
    frozen = encoder(name).train()
    frames = small.noise(1, 2, 48, 64)
    first, second = frozen(frames).tokens, frozen(frames).tokens
    assert torch.equal(first, second)
    head = torch.nn.Linear(frozen.dim, 1)
    head(first).sum().backward()
    assert head.weight.grad is not None
    assert not first.requires_grad
    assert all(parameter.grad is None for parameter in frozen.parameters())


@pytest.mark.parametrize("name", small.NAMES)
def test_a_gradient_asked_for_by_a_parent_is_not_made(encoder, name):
    frozen = encoder(name)
    try:
        torch.nn.ModuleList([frozen]).requires_grad_(True)
        assert not frozen(small.noise(1, 1, 48, 64)).tokens.requires_grad
    finally:
        frozen.requires_grad_(False)
