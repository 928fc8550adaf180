"""How much of the device a run uses: FLOP/s achieved, and their share of the peak (MFU; Chowdhery et al. 2022, App. B).

Counted are the matrix products, convolutions and attentions of forward and backward passes, as they run: also those of
frozen networks that a step looks through, and those that gradient checkpointing computes again. Not counted are
element-wise work, norms, the optimizer, and encoders whose features were cached before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from models.training.data import Batch

_A100 = 312e12  # NVIDIA A100 data sheet, 2021: BFLOAT16 Tensor Core, without sparsity
_H100 = 989e12  # NVIDIA H100 and H200 data sheets, SXM: BFLOAT16 Tensor Core, half of the figure with sparsity
PEAKS = {
    "NVIDIA A100-SXM4-40GB": _A100,
    "NVIDIA A100-SXM4-80GB": _A100,
    "NVIDIA A100-PCIE-40GB": _A100,
    "NVIDIA A100 80GB PCIe": _A100,
    "NVIDIA H100 80GB HBM3": _H100,
    "NVIDIA H200": _H100,
}
"""Dense bf16 FLOP/s by the name that CUDA gives. A name that is not here, such as a MIG slice's, has no known peak."""


def peak_of(device: torch.device, precision: str) -> float | None:
    """The device's dense FLOP/s at a precision, or None where they are not known."""
    if device.type != "cuda" or precision != "bf16":
        return None
    return PEAKS.get(torch.cuda.get_device_name(device))


class _Count(TorchDispatchMode):
    """Adds up FLOPs by torch's own formulas.

    `FlopCounterMode` has the same sum, but runs some operators in pieces, which changes the last bit of what they give.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **kwargs, out_val=out)
        return out


class Throughput:
    """Counts the FLOPs of a pass once for each shape of batch: passes over equal shapes do equal work."""

    def __init__(self, peak: float | None) -> None:
        self.peak = peak
        self._known: dict[tuple[tuple[str, torch.Size], ...], int] = {}
        self._flops, self._counted = 0, False

    @contextmanager
    def passing(self, batch: Batch) -> Iterator[None]:
        """One forward and backward pass over the batch. The real pass is watched: no random number is drawn for it."""
        shapes = tuple((name, tensor.shape) for name, tensor in batch.tensors().items())
        if shapes in self._known:
            yield
        else:
            with _Count() as count:
                yield
            self._known[shapes], self._counted = count.flops, True
        self._flops += self._known[shapes]

    def step(self, seconds: float) -> dict[str, float]:
        """What the passes since the last call achieved in `seconds`: `tflops` (1e12 FLOP/s) and, with a known peak,
        `mfu` (0..1). Nothing after a pass that was counted: counting slowed it down.
        """
        flops, counted = self._flops, self._counted
        self._flops, self._counted = 0, False
        if counted:
            return {}
        numbers = {"tflops": flops / seconds / 1e12}
        return numbers if self.peak is None else {**numbers, "mfu": flops / seconds / self.peak}
