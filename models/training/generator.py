"""What Phase 3 needs of a video generator: frozen weights with adapters, which are all that is trained and kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import Parameter

from models.decoder.conditions import Conditions
from models.decoder.routes import Routes
from models.training import checkpoint
from models.training.randomness import isolated
from models.training.recipe import weights_below

LORA, NULL = "lora.", "null"


class Generator(Protocol):
    """A video generator of any sizes; all its parameters are frozen but the adapters'."""

    @property
    def shift(self) -> float:
        """Where the noise levels centre, as a logit."""
        ...

    def pack(self, latents: Tensor, /) -> Tensor:
        """Latents [B, C, T', h, w] as the generator's tokens [B, L, D]."""
        ...

    def velocity(self, noisy: Tensor, sigma: Tensor, conditions: Conditions, /) -> Tensor:
        """noisy [B, L, D], sigma [B] -> velocity [B, L, D]."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]: ...

    def add_lora(self, rank: int, /) -> None: ...

    def save_lora(self, folder: Path, /) -> None: ...

    def enable_gradient_checkpointing(self) -> None: ...


@dataclass(frozen=True)
class Adapted:
    """How a generator's adapters were trained: what sampling must repeat."""

    routes: Routes
    null: Tensor
    """The learned null [S, D]."""


def new_adapters(generator: Generator, rank: int, seed: int, device: torch.device) -> dict[str, Parameter]:
    """Add adapters, equal for equal seeds; their parameters by the name they have in a checkpoint."""
    with isolated(seed, device):
        generator.add_lora(rank)
    return {LORA + name: p for name, p in generator.named_parameters() if p.requires_grad}


def take_adapters(found: checkpoint.Checkpoint, generator: Generator) -> None:
    """Put a checkpoint's adapters in the place of those that the generator has, averaged ones where it keeps them.

    Raises:
        CheckpointError: they are of another generator.
    """
    adapters = {name: parameter for name, parameter in generator.named_parameters() if parameter.requires_grad}
    found.fill(adapters, weights_below(found, LORA))


def load_generator(path: Path, generator: Generator) -> Adapted:
    """Put a Phase 3 checkpoint's adapters into a fresh generator.

    Raises:
        CheckpointError: the checkpoint is damaged, of another phase, another version or another generator.
    """
    found = checkpoint.read(path)
    null = found.weights().get(NULL)
    if null is None:
        raise checkpoint.CheckpointError(f"{path} is not of Phase 3: it holds no adapters")
    routes = found.setting("routes", Routes)
    generator.add_lora(found.setting("lora_rank", int))
    take_adapters(found, generator)
    return Adapted(routes, null)
