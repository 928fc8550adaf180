"""The workers that train one model together, data-parallel, seen from one of them (ADR 20).

Each has its part of every batch, and all have the same weights: gradients are added up before each step. What one
worker alone does (checkpoints, history, progress) the first does.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import Parameter

from models.data.part import Part
from models.training.config import ConfigError

T = TypeVar("T")


class WorkerLost(RuntimeError):
    """Another worker of the training is gone; this one cannot go on."""


class FirstWorkerError(RuntimeError):
    """What the first worker could not do, told to all."""


class Workers:
    """So many workers, of which this is the one at `rank`; of one alone every call is a plain one."""

    def __init__(self, rank: int = 0, count: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.count, self.device = rank, count, device or torch.device("cpu")

    @classmethod
    def joined(cls) -> "Workers":
        """Those of torch's process group, which this process must have joined (gloo, or nccl on GPUs)."""
        import torch.distributed as group

        on_gpu = group.get_backend() == "nccl"
        device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else None
        return cls(group.get_rank(), group.get_world_size(), device)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and tells."""
        return self.rank == 0

    def part(self, clips: int) -> Part | None:
        """This worker's part of a batch of so many clips; None of one alone: it has them all.

        Raises:
            ConfigError: there are more workers than clips.
        """
        if clips < self.count:
            raise ConfigError(
                f"loop: batch={clips} is shared by {self.count} workers; give each at least one clip, or take fewer"
            )
        return None if self.count == 1 else Part(clips, self.rank, self.count)

    def any(self, here: bool) -> bool:
        """Whether it is so on any worker."""
        return here if self.count == 1 else self.sum([float(here)])[0] > 0

    def sum(self, numbers: Iterable[float]) -> list[float]:
        """Numbers, each added up over all workers: as many on each, in one order."""
        if self.count == 1:
            return list(numbers)
        return self._add(torch.tensor(list(numbers), dtype=torch.float64, device=self.device)).tolist()

    @torch.no_grad()
    def add_gradients(self, parameters: Mapping[str, Parameter]) -> None:
        """Put the sum over all workers in the place of every gradient; what has none on any worker keeps none."""
        if self.count == 1:
            return
        there = self.sum(float(parameter.grad is not None) for parameter in parameters.values())
        used = [p for p, workers in zip(parameters.values(), there, strict=True) if workers]
        if not used:
            return
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in used if parameter.grad is not None]
        # In one piece: what is trained is small, and one sum of 100 MB costs less than hundreds of small ones.
        total = self._add(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, summed in zip(gradients, total.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def tell(self, value: T | None) -> T:
        """The first worker's value, on all of them; what the others give is not looked at."""
        if self.count == 1:
            return value  # type: ignore[return-value]
        import torch.distributed as group

        box: list[Any] = [value if self.first else None]
        self._together(lambda: group.broadcast_object_list(box, src=0))
        return box[0]

    def gathered(self, value: T) -> list[T]:
        """Every worker's value, by rank, on all of them."""
        if self.count == 1:
            return [value]
        import torch.distributed as group

        boxes: list[Any] = [None] * self.count
        self._together(lambda: group.all_gather_object(boxes, value))
        return boxes

    def first_alone(self, work: Callable[[], T]) -> T:
        """What `work` gives on the first worker, on all of them; the others wait for it.

        Raises:
            FirstWorkerError: on all of them, what it raised there; one alone raises it as it is.
        """
        if self.count == 1:
            return work()
        value, error = None, None
        if self.first:
            try:
                value = work()
            except Exception as raised:
                error = raised
        value, failed = self.tell((value, None if error is None else str(error) or type(error).__name__))
        if failed is not None:
            raise FirstWorkerError(failed) from error
        return value  # type: ignore[return-value]

    def _add(self, tensor: Tensor) -> Tensor:
        import torch.distributed as group

        self._together(lambda: group.all_reduce(tensor))
        return tensor

    def _together(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except RuntimeError as error:  # torch has no narrower one for a peer that is gone
            raise WorkerLost(
                f"worker {self.rank} of {self.count} lost another ({' '.join(str(error).split())}); "
                "run again: the training goes on at its last checkpoint"
            ) from error


ALONE = Workers()
