"""The order of clips, a pure function of (seed, epoch): where a run stands is one number."""

import numpy as np


class Sampler:
    """An endless stream of clip indices: each epoch a new permutation, the next following without a gap."""

    def __init__(self, clips: int, seed: int) -> None:
        if clips < 1:
            raise ValueError("sampler: no clips to train on")
        self.clips, self.seed = clips, seed
        self._epoch: tuple[int, np.ndarray] | None = None

    def take(self, position: int, count: int) -> np.ndarray:
        """The indices at stream positions position .. position + count."""
        return np.array([self._order(p // self.clips)[p % self.clips] for p in range(position, position + count)])

    def _order(self, epoch: int) -> np.ndarray:
        if self._epoch is None or self._epoch[0] != epoch:
            generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            self._epoch = epoch, generator.permutation(self.clips)
        return self._epoch[1]
