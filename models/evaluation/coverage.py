"""Do intervals hold what they promise: how often does a 95% interval contain the truth (§6)?

Clips are drawn from known distributions, shaped like the values that evaluations have (mean, spread, skew, pile-ups at
an end), each draw is summarised as an evaluation would, and the share of intervals that hold the true mean is counted.
A kind passes where that share is 93 to 97%; the share's own uncertainty, Wilson's, stands beside it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from models.evaluation.metric import Metric, bootstrap, paired_difference, wilson

Progress = Callable[[str, int, int, dict[str, float]], None]
SIZES = (20, 32, 64, 128)
TRIALS = 2000
LEAST, MOST = 0.93, 0.97


Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, float]]
"""Values of n clips [n], of pairs both sides [2, n], and the true mean."""


@dataclass(frozen=True)
class Kind:
    """One sort of values, with what is true of it."""

    says: str
    draw: "Draw"
    proportion: bool = False

    def interval(self, values: np.ndarray, seed: int, resamples: int) -> Metric:
        """As an evaluation gives it."""
        if values.ndim == 2:
            return paired_difference(values[0], values[1], seed, proportion=self.proportion)
        return bootstrap(values, seed, resamples=resamples, proportion=self.proportion)


@dataclass(frozen=True)
class Coverage:
    """How often the interval of one kind held the truth at one number of clips."""

    kind: str
    n: int
    trials: int
    below: int
    """Trials in which the truth lay below the interval."""
    above: int

    @property
    def share(self) -> float:
        """Of trials in which it held the truth."""
        return 1 - (self.below + self.above) / self.trials

    @property
    def uncertainty(self) -> tuple[float, float]:
        """95% interval of the share."""
        return wilson(self.trials - self.below - self.above, self.trials)

    @property
    def holds(self) -> bool:
        """Whether 95% means 93 to 97%."""
        return LEAST <= self.share <= MOST


def _always(mean: float, draw: Callable[[np.random.Generator, int], np.ndarray]) -> Draw:
    return lambda rng, n: (draw(rng, n), mean)


def _skewed(rng: np.random.Generator, n: int, mean: float, sigma: float) -> np.ndarray:
    """Log-normal of this mean."""
    return mean * rng.lognormal(-(sigma**2) / 2, sigma, n)


def _near(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two arms on the same clips: what is hard for one is hard for the other."""
    hard = rng.normal(0.8, 0.08, n)
    return np.stack([hard - rng.gamma(0.69, 0.065, n), hard])


def _right(low: float, high: float) -> Draw:
    """Right or wrong. The true share is another one each time, as coverage at a single one jumps from n to n + 1."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
        share = rng.uniform(low, high)
        return (rng.random(n) < share).astype(float), share

    return draw


def _two_right(rng: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
    """Both arms on the same clips, the first alone right on 5 to 30% of them, the second alone on 2 to 15%."""
    first, second = rng.uniform(0.05, 0.30), rng.uniform(0.02, 0.15)
    case = rng.choice(3, n, p=(first, second, 1 - first - second))
    return np.stack([case != 1, case != 0]).astype(float), first - second


KINDS = {
    "lpips": Kind("an arm's: mean 0.076, skew 1.35", _always(0.076, lambda rng, n: rng.gamma(2.2, 0.076 / 2.2, n))),
    "temporal_lpips_variance": Kind("exponential: skew 2", _always(1.8e-4, lambda rng, n: rng.exponential(1.8e-4, n))),
    "spatial_iou": Kind("an arm's: mean 0.80, skew -1.3", _always(0.8, lambda rng, n: 1 - _skewed(rng, n, 0.2, 0.4))),
    "edge_f1": Kind(
        "near its ceiling: mean 0.88, skew -3.3", _always(0.882, lambda rng, n: 1 - _skewed(rng, n, 0.118, 0.75))
    ),
    "dynamic_degree": Kind("normal", _always(0.017, lambda rng, n: rng.normal(0.017, 0.006, n))),
    "semantic_consistency": Kind(
        "three clips in five at 1, the rest spread below",
        _always(0.9, lambda rng, n: np.where(rng.random(n) < 0.6, 1.0, rng.beta(6, 2, n))),
    ),
    "temporal_ordering": Kind("right or wrong, 80 to 98% right", _right(0.80, 0.98), proportion=True),
    "direction": Kind("right or wrong, 25 to 75% right", _right(0.25, 0.75), proportion=True),
    "spatial_iou_gain": Kind("paired difference of two arms, skew -2.4", _always(-0.69 * 0.065, _near)),
    "temporal_ordering_gain": Kind("paired difference of right and wrong", _two_right, proportion=True),
}
"""Shaped like the values of the laptop's evaluations on generated clips."""


def measure(
    kinds: Iterable[str] = KINDS,
    sizes: Iterable[int] = SIZES,
    *,
    trials: int = TRIALS,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> list[Coverage]:
    """Coverage of each kind at each number of clips; the same seed gives the same table."""
    cells = [(kind, n) for kind in kinds for n in sizes]
    table = []
    for done, (name, n) in enumerate(cells):
        kind, rng = KINDS[name], np.random.default_rng([seed, n, *name.encode()])
        below = above = 0
        for trial in range(trials):
            values, truth = kind.draw(rng, n)
            found = kind.interval(values, trial, resamples)
            if found.low is None or found.high is None:
                raise RuntimeError(f"coverage: {name} of {n} clips has no interval")
            below += truth < found.low
            above += truth > found.high
        table.append(Coverage(name, n, trials, int(below), int(above)))
        progress("simulated evaluations", done + 1, len(cells), {"coverage": table[-1].share})
    return table
