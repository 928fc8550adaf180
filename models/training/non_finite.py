"""A loss or gradient that is no number: the run stops before the step and leaves what it was computed from."""

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save

from models.data import write_durably
from models.training.data import Batch

TENSORS, REPORT = "non_finite.safetensors", "non_finite.json"


class NonFiniteError(RuntimeError):
    """A loss or gradient that is no number; the weights are those of the step before."""


def write(folder: Path, step: int, loss: float, norm: float, batches: Sequence[Batch]) -> Path:
    """Write the batches of a step as they were read, and a report of it; gives the path of the report.

    The tensors lie in `non_finite.safetensors` as `{pass}.{name}`, for example `0.spatial.tokens`; row k of a pass is
    the k-th of its ids in `non_finite.json`.
    """
    tensors = {
        f"{number}.{name}": tensor.contiguous()
        for number, batch in enumerate(batches)
        for name, tensor in batch.tensors().items()
    }
    sha256 = write_durably(folder / TENSORS, save(tensors))
    report = {
        "step": step,
        "loss": repr(loss),  # JSON has no NaN
        "grad_norm": repr(norm),
        "ids": [list(batch.ids) for batch in batches],
        "tensors": TENSORS,
        "sha256": sha256,
    }
    write_durably(folder / REPORT, json.dumps(report, indent=1).encode())
    return folder / REPORT
