"""Statistics that are no mean of clips, as values of each clip whose mean they are.

Each clip's value is the statistic plus the clip's influence on it (the infinitesimal jackknife, Efron and Tibshirani
1993, 21). Their mean is the statistic, and their spread over clips its standard error, so the one bootstrap of
`models.evaluation.metric` gives its interval as it does that of a mean.
"""

import numpy as np
from scipy.stats import rankdata


def slope(against: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least-squares slope of `values` per standard deviation of `against`, both [N] -> [N].

    NaN where either is undefined; all are where `against` does not vary. The deviation is that of these clips. A
    residual counts as that of a fit without its clip, as in MacKinnon and White's HC3 (1985): White's own error is too
    small where the spread of `values` grows with `against`.
    """
    there = np.isfinite(against) & np.isfinite(values)
    found = np.full(len(values), np.nan)
    x, y = against[there], values[there]
    if len(x) < 3 or x.std() == 0:
        return found
    x = (x - x.mean()) / x.std()
    y = y - y.mean()
    steep = float((x * y).mean())
    leverage = (1 + np.square(x)) / len(x)
    influence = x * (y - steep * x) / np.maximum(1 - leverage, 1 / len(x))  # a lone clip far out has no residual
    found[there] = steep + influence - influence.mean()
    return found


def area(distance: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Chance that a wrong one (bool) is further than a right one, ties half, both [N] -> [N].

    The area under the ROC; its interval is that of DeLong's variance. NaN where there is only one kind.
    """
    found = np.full(len(distance), np.nan)
    count, bad = len(distance), int(wrong.sum())
    if not 0 < bad < count:
        return found
    placed = np.empty(count)
    ranks = rankdata(distance)
    for kind, others in ((wrong, count - bad), (~wrong, bad)):
        placed[kind] = (ranks[kind] - rankdata(distance[kind])) / others
    placed[~wrong] = 1 - placed[~wrong]
    whole = float(placed[wrong].mean())
    sizes = np.where(wrong, bad, count - bad)
    found[:] = whole + count / sizes * (placed - whole)
    return found


def gain_of_keeping(right: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Accuracy of the kept ones (bool) less that of all; `right` 0 or 1, both [N] -> [N]. NaN where none is kept."""
    if not kept.any():
        return np.full(len(right), np.nan)
    right = right.astype(np.float64)
    among, over = right[kept].mean(), right.mean()
    return (among - over) + kept / kept.mean() * (right - among) - (right - over)
