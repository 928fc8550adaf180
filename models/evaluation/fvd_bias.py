"""How far FVD is from the truth as clips grow fewer: its value between two halves of one set of clips (§6).

Both sides are the same sort of clip, so the true distance is 0 and whatever is measured is bias. What is measured ends
at half of the clips at hand. Beyond, the same estimator is run on draws of the normal distribution that has the clips'
own mean and covariance: a model, and called so, whose true distance is 0 at every N.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.fvd import ENOUGH, frechet_distance
from models.evaluation.inputs import MetricInputError

SIZES = (8, 12, 16, 32, 64, 128, 256, 512, 1024, 2048)
REPEATS = 20


@dataclass(frozen=True)
class Bias:
    """FVD of two sets of n clips whose true distance is 0: mean and standard deviation over repeats."""

    n: int
    measured: tuple[float, float] | None
    """Between clips; None where there are fewer than 2n."""
    modelled: tuple[float, float]
    """Between draws of a normal distribution fitted to the clips' logits."""

    @property
    def gates(self) -> bool:
        """Whether a gate takes so many clips for FVD."""
        return self.n >= ENOUGH


def bias(logits: np.ndarray, sizes: Sequence[int] = SIZES, *, repeats: int = REPEATS, seed: int = 0) -> list[Bias]:
    """From I3D's logits [M, 400] of clips of one sort.

    Raises:
        MetricInputError: too few clips for the smallest size.
    """
    if len(logits) < 2 * min(sizes):
        raise MetricInputError(f"FVD's bias: {len(logits)} clips; at least {2 * min(sizes)} are needed")
    rng = np.random.default_rng(seed)
    centred = logits - logits.mean(0)
    # The clips span fewer dimensions than there are logits: a rotation into them changes no distance.
    span = np.linalg.svd(centred, full_matrices=False)[2]
    spread: np.ndarray = np.linalg.qr(centred @ span.T / np.sqrt(len(logits) - 1), mode="reduced").R

    def between_clips(n: int) -> float:
        order = rng.permutation(len(logits))
        return frechet_distance(centred[order[:n]], centred[order[n : 2 * n]])

    def between_draws(n: int) -> float:
        return frechet_distance(*(rng.normal(size=(n, len(spread))) @ spread for _ in range(2)))

    return [
        Bias(
            n,
            _summary([between_clips(n) for _ in range(repeats)]) if 2 * n <= len(logits) else None,
            _summary([between_draws(n) for _ in range(repeats)]),
        )
        for n in sizes
    ]


def _summary(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1))
