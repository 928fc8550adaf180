"""CKA: how alike two representations of the same clips are, up to rotation and scale (Kornblith 2019, §6).

Protocol: linear kernels, unbiased HSIC (Song et al. 2012), so that independent features give about 0 at any width (the
biased form gives values near 1 when features outnumber clips); over minibatches the HSIC terms are averaged before the
ratio is taken (Nguyen 2021). Beside it a null: the same with the second side's clips permuted. Interval: jackknife.

The biased form, which most reports mean by CKA, is here to be shown beside the unbiased one with its own null.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np

from models.evaluation.inputs import MetricInputError
from models.evaluation.metric import Metric, point

PROTOCOL = "linear, unbiased HSIC, N {n}; permutation null mean {mean:.3f}, 95% {high:.3f}, p {p:.3f}"
SMALLEST = 4
Form = Literal["unbiased", "biased"]


def gram(features: np.ndarray) -> np.ndarray:
    """Linear kernel of features [N, ...] -> float64 [N, N]."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        raise MetricInputError("CKA: NaN or infinite features")
    flat = flat - flat.mean(0)
    return flat @ flat.T


def unbiased_hsic(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased estimate of HSIC from two kernels [N, N], N >= 4; their diagonals do not count."""
    return _hsic(*_kernels(first, second, "unbiased"), "unbiased")


def biased_hsic(first: np.ndarray, second: np.ndarray) -> float:
    """Biased estimate of HSIC (Gretton et al. 2005) from two kernels [N, N], N >= 4."""
    return _hsic(*_kernels(first, second, "biased"), "biased")


def cka(first: np.ndarray, second: np.ndarray, form: Form = "unbiased") -> float:
    """CKA of two sets of features [N, ...] of the same clips; NaN where a side does not vary."""
    return minibatch_cka([(first, second)], form)


def minibatch_cka(batches: Iterable[tuple[np.ndarray, np.ndarray]], form: Form = "unbiased") -> float:
    """CKA from minibatches of paired features: only one batch is in memory at a time."""
    terms = []
    for first, second in batches:
        k, kk = _kernels(gram(first), gram(second), form)
        terms.append((_hsic(k, kk, form), _hsic(k, k, form), _hsic(kk, kk, form)))
    return float(_ratio(*np.mean(terms, axis=0)))


def permutation_null(
    first: np.ndarray, second: np.ndarray, permutations: int = 200, seed: int = 0, form: Form = "unbiased"
) -> np.ndarray:
    """CKA with the clips of the second side permuted: what it gives where nothing is shared -> [permutations]."""
    rng = np.random.default_rng(seed)
    k, kk = _kernels(gram(first), gram(second), form)
    own = _hsic(k, k, form), _hsic(kk, kk, form)
    orders = (rng.permutation(len(k)) for _ in range(permutations))
    permuted = (kk.take(order, 0).take(order, 1) for order in orders)  # the array of np.ix_, sooner
    return np.array([_ratio(_hsic(k, other, form), *own) for other in permuted])


def gaussian_null(n: int, dims: tuple[int, int], draws: int, seed: int = 0) -> dict[Form, np.ndarray]:
    """CKA of independent standard Gaussians [n, dims[0]] and [n, dims[1]], in both forms -> [draws] each."""
    rng = np.random.default_rng(seed)
    found: dict[Form, list[float]] = {"unbiased": [], "biased": []}
    for _ in range(draws):
        sides = (rng.standard_normal((n, dim), np.float32) for dim in dims)
        first, second = ((side @ side.T).astype(np.float64) for side in (side - side.mean(0) for side in sides))
        for form, values in found.items():
            k, kk = _kernels(first, second, form)
            values.append(float(_ratio(_hsic(k, kk, form), _hsic(k, k, form), _hsic(kk, kk, form))))
    return {form: np.array(values) for form, values in found.items()}


def cka_metric(
    first: np.ndarray, second: np.ndarray, seed: int = 0, permutations: int = 200, form: Form = "unbiased"
) -> Metric:
    """CKA with its jackknife interval; the null and its p-value stand in the protocol."""
    return judged(first, second, permutation_null(first, second, permutations, seed, form), form)


def judged(first: np.ndarray, second: np.ndarray, null: np.ndarray, form: Form) -> Metric:
    """CKA with its jackknife interval, against a permutation null that is at hand."""
    value, n = cka(first, second, form), len(first)
    numbers = {"n": n, "mean": null.mean(), "high": np.quantile(null, 0.95), "p": chance(value, null)}
    protocol = PROTOCOL.replace("unbiased", form).format(**numbers)
    if not np.isfinite(value) or n <= SMALLEST:
        return point(value, n, protocol)
    left_out = _leave_one_out(*_kernels(gram(first), gram(second), form), form)
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    return Metric(value, value - 1.96 * float(error), value + 1.96 * float(error), n, protocol)


def chance(value: float, null: np.ndarray) -> float:
    """How often a null reaches the value: the p-value of a permutation test."""
    return float((1 + (null >= value).sum()) / (1 + len(null)))


def _kernels(first: np.ndarray, second: np.ndarray, form: Form) -> tuple[np.ndarray, np.ndarray]:
    n = len(first)
    if first.shape != second.shape or first.shape != (n, n) or n < SMALLEST:
        raise MetricInputError(f"HSIC: two kernels [N,N] of N >= {SMALLEST}, not {first.shape} and {second.shape}")
    if form == "biased":
        return first, second
    return first - np.diag(np.diag(first)), second - np.diag(np.diag(second))


def _weights(n: int, form: Form) -> tuple[float, float, float]:
    """Both estimates are (sum KL + a * sum K * sum L - b * rows of K * rows of L) / c, and differ in a, b, c."""
    if form == "biased":
        return 1 / n**2, 2 / n, (n - 1) ** 2
    return 1 / ((n - 1) * (n - 2)), 2 / (n - 2), n * (n - 3)


def _hsic(k: np.ndarray, kk: np.ndarray, form: Form) -> float:
    a, b, c = _weights(len(k), form)
    rows, others = k.sum(0), kk.sum(0)
    return float((np.vdot(k, kk) + a * rows.sum() * others.sum() - b * (rows @ others)) / c)


def _leave_one_out(k: np.ndarray, kk: np.ndarray, form: Form) -> np.ndarray:
    """CKA without each clip in turn -> [N]: what a clip adds to each sum is taken off, in N^2 steps for all of them."""
    a, b, c = _weights(len(k) - 1, form)

    def without(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows, others, own, its = x.sum(0), y.sum(0), np.diag(x), np.diag(y)
        both = x * y
        products = both.sum() - 2 * both.sum(0) + own * its
        sums = (rows.sum() - 2 * rows + own) * (others.sum() - 2 * others + its)
        crossed = rows @ others - x @ others - y @ rows + both.sum(0) - (rows - own) * (others - its)
        return (products + a * sums - b * crossed) / c

    return _ratio(without(k, kk), without(k, k), without(kk, kk))


def _ratio(cross: np.ndarray | float, first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    varies = np.minimum(first, second) > 1e-12
    return np.where(varies, cross / np.sqrt(np.where(varies, first * np.asarray(second), 1.0)), np.nan)
