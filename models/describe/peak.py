"""Peak memory of a computation, traced on fake tensors: shapes and storages as on a device, no memory behind them.

The operations of the real code run one after another, forward and backward, and every storage counts from the
operation that makes it until nothing holds it: so what autograd keeps is what torch keeps, and no formula of ours. Not
seen are an operation's own workspace, the driver's memory (about half a GB on a GPU), and what a caching allocator
reserves beyond what is allocated.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

BLOCK = 512
"""Bytes that CUDA's caching allocator gives at least, and in multiples of which."""


class PeakMemory(TorchDispatchMode):
    """Bytes of all storages that operations made under it: `now`, and at most so far, `peak`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self._see(made)
        elif isinstance(made, tuple | list):
            tree_map_only(Tensor, self._see, made)
        self.peak = max(self.peak, self.now)
        return made

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            size = -(-storage.nbytes() // BLOCK) * BLOCK
            self._known[storage], self.now = size, self.now + size
            weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


@contextmanager
def traced() -> Iterator[PeakMemory]:
    """Tensors made inside have no memory, and are counted."""
    with FakeTensorMode(), PeakMemory() as peak:
        yield peak


def placed(module: nn.Module, dtype: torch.dtype | None = None) -> nn.Module:
    """A module on the meta device as it would lie on a real one, its floats in `dtype` if given; call under `traced`.

    The module's own parameters are replaced; what was shared stays shared.
    """
    made: dict[Tensor, Tensor] = {}
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, tensor in store.items():
                if tensor is not None:
                    made.setdefault(tensor, _empty(tensor, dtype))
                    store[name] = made[tensor]  # type: ignore[assignment]
    return module


def _empty(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    kept = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    made = torch.empty(tensor.shape, dtype=kept)
    return nn.Parameter(made, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made
