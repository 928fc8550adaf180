"""A number with its interval, its N and its protocol (§6): the only form in which a figure leaves an evaluation.

Protocol of the interval: 95%, over clips. Proportions, of values that are right or wrong: Wilson's; the difference of
two on the same clips: the adjusted Wald interval of Agresti and Min (2005). Others: the studentised bootstrap of the
mean (Efron and Tibshirani 1993, 12.5), seeded, which follows a skew that other bootstraps miss.
`models.evaluation.coverage` measures how often each holds the truth. A clip on which a metric is undefined is NaN and
does not count; n says how many do. One clip has a value and no interval.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import stats

RESAMPLES = 2000
LEVEL = 0.95
ROUNDING = 1e-12  # values that differ by no more are one value


@dataclass(frozen=True)
class Metric:
    """A measured value; None where the metric is undefined or, for `low` and `high`, where no interval can be given."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    protocol: str

    def document(self) -> dict[str, float | int | str | None]:
        """As the evaluation document holds it (§11)."""
        return asdict(self)


def point(value: float | None, n: int, protocol: str) -> Metric:
    """A value without an interval."""
    defined = value is not None and bool(np.isfinite(value))
    return Metric(float(value) if defined and value is not None else None, None, None, n, protocol)


def bootstrap(
    values: np.ndarray, seed: int = 0, protocol: str = "", resamples: int = RESAMPLES, *, proportion: bool = False
) -> Metric:
    """The mean of per-clip values [N] with its interval; the values of a proportion are 0 or 1."""
    values = np.asarray(values, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return Metric(None, None, None, 0, protocol)
    mean = float(values.mean())
    if n == 1:
        return Metric(mean, None, None, 1, protocol)
    if proportion and np.isin(values, (0.0, 1.0)).all():
        low, high = wilson(int(values.sum()), n)
    elif np.ptp(values) <= ROUNDING * max(1.0, abs(mean)):
        low = high = mean
    else:
        low, high = _studentised(values, np.random.default_rng(seed), resamples)
    return Metric(mean, float(low), float(high), n, protocol)


def paired_difference(
    first: np.ndarray, second: np.ndarray, seed: int = 0, protocol: str = "", *, proportion: bool = False
) -> Metric:
    """Mean of first - second over the clips on which both are defined; the clips are the same, in the same order.

    Raises:
        ValueError: other numbers of clips.
    """
    if len(first) != len(second):
        raise ValueError(f"a paired difference needs the same clips: {len(first)} and {len(second)} were given")
    difference = np.asarray(first, float) - np.asarray(second, float)
    difference = difference[np.isfinite(difference)]
    metric = bootstrap(difference, seed, protocol)
    if proportion and metric.n > 1 and np.isin(difference, (-1.0, 0.0, 1.0)).all():
        low, high = agresti_min(int((difference == 1).sum()), int((difference == -1).sum()), metric.n)
        metric = replace(metric, low=low, high=high)
    return replace(metric, protocol=f"paired over clips: {protocol}" if protocol else "paired over clips")


def agresti_min(only_first: int, only_second: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of the difference of two proportions on the same n clips, from those on which only one of them is right.

    One such clip among many shows nothing, and none at all leaves a doubt (Agresti and Min 2005: half a
    clip is added to each of the four cases).
    """
    z = stats.norm.ppf((1 + level) / 2)
    first, second = (only_first + 0.5) / (n + 2), (only_second + 0.5) / (n + 2)
    half = z * np.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(-1.0, float(first - second - half)), min(1.0, float(first - second + half))


def wilson(right: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a proportion: honest where all of n are right, where a bootstrap sees no doubt."""
    z = stats.norm.ppf((1 + level) / 2)
    share = right / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def _studentised(values: np.ndarray, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """Where the mean may lie, from how far resampled means stray in units of their own deviation.

    Both constants were chosen on simulated clips (ADR 10). A resample that drew hardly anything but equal values would
    stray without end, so its deviation counts as at least half of the sample's. The deviation itself is uncertain in a
    small sample: the interval is widened by half of what Student's t is wider than a normal. No mean of clips lies
    outside their values.
    """
    n, mean, deviation = len(values), values.mean(), values.std(ddof=1)
    drawn = values[rng.integers(0, n, (resamples, n))]
    astray = (drawn.mean(1) - mean) / np.maximum(drawn.std(1, ddof=1), deviation / 2)
    wider = np.sqrt(stats.t.ppf((1 + LEVEL) / 2, n - 1) / stats.norm.ppf((1 + LEVEL) / 2))
    above, below = np.quantile(astray, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) * deviation * wider
    return max(values.min(), mean - below), min(values.max(), mean - above)
