"""The random state of a run: set from its seed, saved whole, and kept from leaking into the caller's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


@contextmanager
def isolated(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's and numpy's global generators for the block, and put the caller's states back after it."""
    cuda = [device] if device.type == "cuda" else []
    before = np.random.get_state()
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(before)


def capture(noise: torch.Generator) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON values that `restore` needs."""
    tensors = {"torch": torch.get_rng_state(), "noise": noise.get_state()}
    if noise.device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(noise.device)
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    tensors["numpy"] = torch.from_numpy(np.asarray(keys).astype(np.int64))
    return tensors, {"name": name, "position": position, "has_gauss": has_gauss, "gauss": gauss}


def restore(tensors: dict[str, Tensor], values: dict[str, Any], noise: torch.Generator) -> None:
    """Continue exactly where `capture` was called."""
    torch.set_rng_state(tensors["torch"])
    noise.set_state(tensors["noise"])
    if "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], noise.device)
    keys = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state((values["name"], keys, values["position"], values["has_gauss"], values["gauss"]))
