"""DINOv2: registers are dropped, and several layers keep the width and the range of one."""

import torch

from models.encoders.dinov2 import Dinov2Encoder
from models.encoders.pixels import normalise
from tests.models.encoders import small


def test_class_token_and_registers_are_dropped(encoder):
    frames = small.noise(1, 1, 48, 80)
    for name, special in (("dinov2", 1), ("dinov2_registers", 5)):
        frozen = encoder(name)
        with torch.no_grad():
            states = frozen.model(normalise(frames[0])).last_hidden_state
        assert states.shape[1] == special + 6 * 10
        assert torch.equal(frozen(frames).tokens[0], states[:, special:])


def test_several_layers_are_the_mean_of_the_quarters_through_the_final_norm(encoder):
    multi, frames = encoder("dinov2_multi"), small.noise(1, 1, 64, 64)
    assert multi.depths == [1, 2, 3, 4]
    with torch.no_grad():
        states = multi.model(normalise(frames[0]), output_hidden_states=True).hidden_states
        each = torch.stack([multi.model.layernorm(state) for state in states[1:]])
    made = multi(frames).tokens
    assert made.shape[-1] == multi.dim
    assert torch.allclose(made[0], each.mean(dim=0)[:, 1:], atol=1e-5)
    last = Dinov2Encoder(multi.model, stride=1, weights_sha256="", standin=False)(frames).tokens
    assert torch.equal(last[0], each[-1][:, 1:])
    assert not torch.allclose(made, last, atol=0.1)
