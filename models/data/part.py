"""Which clips of a batch are one worker's, where several train on it together (ADR 20).

Clips are dealt out in turn, so that the first few, which some steps decode, are not all one worker's.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

Rows = TypeVar("Rows", torch.Tensor, np.ndarray, list[str])


@dataclass(frozen=True)
class Part:
    """The clips rank, rank + workers, rank + 2 workers, .. of a batch."""

    clips: int
    """Of the whole batch."""
    rank: int
    workers: int

    @property
    def count(self) -> int:
        """Clips of this worker; none where the batch has fewer than there are workers before it."""
        return len(range(self.rank, self.clips, self.workers))

    @property
    def share(self) -> float:
        """By this a mean over this worker's clips counts in the mean over the batch, 0..1."""
        return self.count / self.clips

    def own(self, rows: Rows) -> Rows:
        """Of rows of the whole batch, this worker's."""
        return rows[self.rank :: self.workers]

    def first(self, clips: int) -> "Part":
        """The part of the batch's first clips: it is the beginning of this one."""
        return Part(clips, self.rank, self.workers)
