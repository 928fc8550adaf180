"""The trace is torch's own memory: exact where it can be reckoned, equal to its tracker, the same with and without."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from models.describe.peak import BLOCK, PeakMemory, placed, traced
from models.fusion.build import build
from tests.models.fusion.toy import SMALL, streams

FLOATS = 1024
SIZE = 4 * FLOATS


def test_a_tensor_counts_from_its_making_until_nothing_holds_it():
    with traced() as peak:
        first = torch.zeros(FLOATS)
        assert (peak.now, peak.peak) == (SIZE, SIZE)
        second = first * 2
        assert (peak.now, peak.peak) == (2 * SIZE, 2 * SIZE)
        view = second.view(2, -1)
        del second, first
        assert (peak.now, peak.peak) == (SIZE, 2 * SIZE)
        del view
        assert (peak.now, peak.peak) == (0, 2 * SIZE)
        assert torch.zeros(1).is_cpu
        assert peak.peak == 2 * SIZE


def test_small_tensors_take_a_block():
    with traced() as peak:
        kept = torch.zeros(3)
        assert peak.now == BLOCK
        del kept


def step(module: nn.Module, given: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    module(given).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def test_it_is_the_peak_of_torchs_tracker(monkeypatch):
    """On trained modules, the only ones that the tracker takes; on a CPU it rounds no size up."""
    monkeypatch.setattr("models.describe.peak.BLOCK", 1)

    def train() -> None:
        network = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.LayerNorm(256), nn.Linear(256, 64))
        step(network, torch.zeros(32, 64), torch.optim.AdamW(network.parameters(), fused=True))

    with FakeTensorMode(), MemTracker() as theirs:
        train()
    with traced() as ours:
        train()
    (snapshot,) = theirs.get_tracker_snapshot("peak").values()
    assert ours.peak == snapshot["Total"]


def fusion_step() -> None:
    fusion, (spatial, semantic) = build(SMALL).train(), streams()
    out = fusion(spatial, semantic)
    (out.latent_tokens.square().mean() + out.semantic_tokens.square().mean()).backward()


def test_tensors_without_memory_take_as_much_as_real_ones():
    with traced() as fake:
        fusion_step()
    with PeakMemory() as real:
        fusion_step()
    assert fake.peak == pytest.approx(real.peak, rel=0.01)
    assert fake.peak > 100 * BLOCK


def test_it_holds_at_least_what_autograd_saves():
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with PeakMemory() as real, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        fusion_step()
    assert real.peak > sum(saved.values()) > real.peak / 4


def test_a_module_is_placed_whole_with_what_it_shares_and_freezes():
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 8))
    module[2].weight = module[0].weight
    module[0].bias.requires_grad_(False)
    with traced() as peak:
        placed(module, torch.bfloat16)
        assert {parameter.device.type for parameter in module.parameters()} == {"cpu"}
        assert {parameter.dtype for parameter in module.parameters()} == {torch.bfloat16}
        assert module[2].weight is module[0].weight
        assert not module[0].bias.requires_grad
        assert module[2].bias.requires_grad
        assert module[1].num_batches_tracked.dtype == torch.int64
        assert peak.now == BLOCK * 8  # a shared weight, two biases, a norm's two, and its three buffers
