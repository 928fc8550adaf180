"""A frozen encoder over many clips by several workers of a Ray cluster (ADR 20).

A worker loads the network once and encodes shard after shard; frames and features travel through Ray, so that a worker
needs nothing but the weights. Whoever asked for them writes the files and names each in the store, once. What a dead
worker had in hand is given to another.
"""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.data.features import Batches, Encode
from models.data.shards import ClipShards, unmap
from orchestration.parallel.cluster import connected

DEATHS = 3
"""Workers that may die over one shard: one that ends them all would end them for ever."""


class ExtractionFailed(RuntimeError):
    """An extraction that cannot go on; finished shards are kept."""


@dataclass(frozen=True)
class Loading:
    """How a worker comes by its network: that of a stage, as params.yaml has it."""

    stage: str
    params: Mapping[str, Any]

    def __call__(self) -> tuple[Encode, bool]:
        """The encoder, and whether it is a stand-in."""
        from orchestration.stages.tokens import encoder_of, load

        network = load(self.stage, self.params)
        return encoder_of(self.stage, network), network.standin


Load = Callable[[], tuple[Encode, bool]]


class _Encoder:
    """A worker."""

    def __init__(self, load: Load, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.encode, self.standin = load()

    def is_standin(self) -> bool:
        """Answered once the network is loaded."""
        return self.standin

    def shard(self, frames: np.ndarray, sizes: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """The tensors of batches of so many clips, which follow each other in `frames`."""
        edges = np.cumsum(sizes)[:-1]
        return [self.encode(np.array(some)) for some in np.split(frames, edges)]  # Ray's own memory is read-only


class Extractors:
    """So many workers, started and perhaps still loading."""

    def __init__(self, ray: Any, load: Load, count: int, shards: ClipShards, cpus: int) -> None:
        self._ray, self._load, self._shards, self._cpus = ray, load, shards, cpus
        self._workers = [self._start() for _ in range(count)]

    def standin(self) -> bool:
        """Whether their weights are a stand-in's; waits until all have loaded.

        Raises:
            ExtractionFailed: one could not load.
        """
        said = self._answer([one.is_standin.remote() for one in self._workers])
        if said is None:
            raise ExtractionFailed("a worker died while it loaded its network; look at the workers' memory")
        return said[0]

    def source(
        self, batches: Batches, encoded: Callable[[int], None]
    ) -> Generator[tuple[str, list[dict[str, np.ndarray]]]]:
        """Each shard once, as they are done. See `models.data.features.Source`.

        Raises:
            ExtractionFailed: a shard ended too many workers, or the encoder failed on one.
        """
        waiting, flying, deaths = deque(batches), dict[Any, tuple[Any, str]](), Counter[str]()
        idle = list(self._workers)
        while waiting or flying:
            while waiting and idle:
                worker, shard = idle.pop(), waiting.popleft()
                flying[self._send(worker, batches[shard])] = worker, shard
            (done,), _ = self._ray.wait(list(flying), num_returns=1)
            worker, shard = flying.pop(done)
            made = self._answer(done)
            if made is None:
                deaths[shard] += 1
                if deaths[shard] == DEATHS:
                    raise ExtractionFailed(
                        f"{shard}: {DEATHS} workers died over it; look at its clips and at the workers' memory"
                    )
                waiting.appendleft(shard)
                self._workers.remove(worker)
                self._ray.kill(worker)  # should it be alive and only out of reach, what it makes is dropped
                worker = self._start()
                self._workers.append(worker)
            idle.append(worker)
            if made is not None:
                encoded(sum(map(len, batches[shard])))
                yield shard, made

    def end(self) -> None:
        """End them all."""
        for worker in self._workers:
            self._ray.kill(worker)

    def _start(self) -> Any:
        import torch

        options: dict[str, Any] = {"num_cpus": self._cpus, "num_gpus": int(torch.cuda.is_available())}
        return self._ray.remote(_Encoder).options(**options).remote(self._load, self._cpus)

    def _send(self, worker: Any, some: Sequence[Sequence[str]]) -> Any:
        frames = self._shards.frames([clip for ids in some for clip in ids])
        unmap()  # a shard is read once; memory must not grow with their number
        return worker.shard.remote(frames, [len(ids) for ids in some])

    def _answer(self, asked: Any) -> Any:
        """What workers give; None where one died."""
        from ray.exceptions import RayActorError, RayTaskError

        try:
            return self._ray.get(asked)
        except RayTaskError as error:
            raise ExtractionFailed(f"a worker failed: {_last_line(error)}") from error
        except RayActorError as error:
            if error.actor_init_failed:
                raise ExtractionFailed(f"a worker could not load its network: {_last_line(error)}") from error
            return None


@contextmanager
def extractors(load: Load, count: int, shards: ClipShards, *, cpus: int = 1) -> Iterator[Extractors]:
    """So many workers for the length of a `with`, each with a GPU where there are GPUs, and so many CPUs."""
    with connected() as ray:
        workers = Extractors(ray, load, count, shards, cpus)
        try:
            yield workers
        finally:
            workers.end()


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
