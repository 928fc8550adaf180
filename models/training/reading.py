"""The batches of a run, in the order of its seed, read ahead by threads."""

from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from models.data.ahead import ahead
from models.training.config import LoopConfig
from models.training.data import Batch
from models.training.sampler import Sampler

Load: TypeAlias = Callable[[Sequence[str], int], Batch]
"""Clip ids and the step they are for, to their batch."""


def batches(load: Load, ids: Sequence[str], config: LoopConfig, start: int) -> Generator[Batch]:
    """The batch of every forward pass from step `start` to the last.

    `config.readers` threads read as many batches ahead; with none, a batch is read when it is asked for. Close the
    iterator to end the threads.

    Raises:
        Exception: what `load` raised, where its batch is due.
    """
    passes = range(start * config.accumulation, config.steps * config.accumulation)
    sampler = Sampler(len(ids), config.seed)
    # Drawn in this thread and waited for in this order: how many threads read, and how fast, changes no batch.
    wanted = (
        ([ids[int(i)] for i in sampler.take(number * config.batch, config.batch)], number // config.accumulation)
        for number in passes
    )

    def read(one: tuple[list[str], int]) -> Batch:
        return load(*one)

    return ahead(read, wanted, config.readers)
