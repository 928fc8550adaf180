"""CKA: how alike two representations of the same clips are, up to rotation and scale (Kornblith 2019, §6).

Protocol: linear kernels, unbiased HSIC (Song et al. 2012), so that independent features give about 0 at any width (the
biased form gives values near 1 when features outnumber clips); over minibatches the HSIC terms are averaged before the
ratio is taken (Nguyen 2021). Beside it a null: the same with the second side's clips permuted. Interval: jackknife.
"""

from collections.abc import Iterable

import numpy as np

from models.evaluation.inputs import MetricInputError
from models.evaluation.metric import Metric, point

PROTOCOL = "linear, unbiased HSIC, N {n}; permutation null mean {mean:.3f}, 95% {high:.3f}, p {p:.3f}"
SMALLEST = 4


def gram(features: np.ndarray) -> np.ndarray:
    """Linear kernel of features [N, ...] -> float64 [N, N]."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        raise MetricInputError("CKA: NaN or infinite features")
    flat = flat - flat.mean(0)
    return flat @ flat.T


def unbiased_hsic(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased estimate of HSIC from two kernels [N, N], N >= 4; their diagonals do not count."""
    n = len(first)
    if first.shape != second.shape or first.shape != (n, n) or n < SMALLEST:
        raise MetricInputError(f"HSIC: two kernels [N,N] of N >= {SMALLEST}, not {first.shape} and {second.shape}")
    k, kk = first - np.diag(np.diag(first)), second - np.diag(np.diag(second))
    rows, others = k.sum(0), kk.sum(0)
    term = (k * kk).sum() + rows.sum() * others.sum() / ((n - 1) * (n - 2)) - 2 * (rows @ others) / (n - 2)
    return float(term / (n * (n - 3)))


def cka(first: np.ndarray, second: np.ndarray) -> float:
    """CKA of two sets of features [N, ...] of the same clips; NaN where a side does not vary."""
    return minibatch_cka([(first, second)])


def minibatch_cka(batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """CKA from minibatches of paired features: only one batch is in memory at a time."""
    terms = []
    for first, second in batches:
        k, kk = gram(first), gram(second)
        terms.append((unbiased_hsic(k, kk), unbiased_hsic(k, k), unbiased_hsic(kk, kk)))
    return _ratio(*np.mean(terms, axis=0))


def permutation_null(first: np.ndarray, second: np.ndarray, permutations: int = 200, seed: int = 0) -> np.ndarray:
    """CKA with the clips of the second side permuted: what it gives where nothing is shared -> [permutations]."""
    rng = np.random.default_rng(seed)
    k, kk = gram(first), gram(second)
    own = unbiased_hsic(k, k), unbiased_hsic(kk, kk)
    orders = (rng.permutation(len(k)) for _ in range(permutations))
    return np.array([_ratio(unbiased_hsic(k, kk[np.ix_(order, order)]), *own) for order in orders])


def cka_metric(first: np.ndarray, second: np.ndarray, seed: int = 0, permutations: int = 200) -> Metric:
    """CKA with its jackknife interval; the null and its p-value stand in the protocol."""
    value, n = cka(first, second), len(first)
    null = permutation_null(first, second, permutations, seed)
    p = (1 + (null >= value).sum()) / (1 + permutations)
    protocol = PROTOCOL.format(n=n, mean=null.mean(), high=np.quantile(null, 0.95), p=p)
    if not np.isfinite(value) or n <= SMALLEST:
        return point(value, n, protocol)
    k, kk = gram(first), gram(second)
    left_out = np.array([_cka_without(k, kk, clip) for clip in range(n)])
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    return Metric(value, value - 1.96 * float(error), value + 1.96 * float(error), n, protocol)


def _cka_without(k: np.ndarray, kk: np.ndarray, clip: int) -> float:
    k, kk = (np.delete(np.delete(kernel, clip, 0), clip, 1) for kernel in (k, kk))
    return _ratio(unbiased_hsic(k, kk), unbiased_hsic(k, k), unbiased_hsic(kk, kk))


def _ratio(cross: float, first: float, second: float) -> float:
    return cross / float(np.sqrt(first * second)) if min(first, second) > 1e-12 else float("nan")
