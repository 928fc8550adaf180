"""Values of cells, clip by clip, over the seeds of their trainings: a number with an interval, a paired difference.

Its value is the mean over seeds, and its interval holds that of every seed: what is not so with each of them is open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.metric import Metric, bootstrap, paired_difference
from orchestration.documents import MetricValue
from orchestration.studies.study import Measured


@dataclass(frozen=True)
class Paired:
    """Cells that were measured on the same held-out clips."""

    measured: Mapping[str, Measured]
    seed: int
    """Of the bootstrap."""
    protocols: Mapping[str, str]
    """What each measure is, by name."""
    proportions: tuple[str, ...] = ()
    """Measures that are right or wrong on a clip."""

    def value(self, cells: Sequence[str], measure: str) -> Metric:
        """The mean over clips of a measure, of one cell a seed."""
        found = [self._clips(cell, measure) for cell in cells]
        proportion = measure in self.proportions
        each = [bootstrap(np.array(list(one.values()), float), self.seed, proportion=proportion) for one in found]
        return over_seeds(each, self.protocols[measure])

    def less(self, first: Sequence[str], second: Sequence[str], measure: str) -> Metric:
        """The first's less the second's, of equal seeds on equal clips; one cell without seeds stands for all.

        Raises:
            ValueError: other numbers of seeds.
        """
        others = list(second) * len(first) if len(second) == 1 else list(second)
        each = [self._pair(one, other, measure) for one, other in zip(first, others, strict=True)]
        return over_seeds(each, f"paired over clips: {self.protocols[measure]}")

    def _pair(self, first: str, second: str, measure: str) -> Metric:
        one, other = self._clips(first, measure), self._clips(second, measure)
        clips = sorted(one.keys() & other.keys())
        values, others = (np.array([side[clip] for clip in clips], float) for side in (one, other))
        return paired_difference(values, others, self.seed, proportion=measure in self.proportions)

    def _clips(self, cell: str, measure: str) -> dict[str, float | None]:
        return self.measured[cell]["by_clip"][measure]


def over_seeds(metrics: Sequence[Metric], protocol: str) -> Metric:
    """The mean over seeds; undefined where one of them is."""
    values, low, high = ([getattr(metric, end) for metric in metrics] for end in ("value", "low", "high"))
    n = min(metric.n for metric in metrics)
    said = protocol
    if len(metrics) > 1:
        said = f"mean of {len(metrics)} seeds, the interval holds each seed's own; {protocol}"
    if None in values:
        return Metric(None, None, None, n, said)
    if None in low or None in high:
        return Metric(float(np.mean(values)), None, None, n, said)
    return Metric(float(np.mean(values)), min(low), max(high), n, said)


def documents(metrics: Mapping[str, Metric]) -> dict[str, MetricValue]:
    """As the study's document holds them."""
    return {name: MetricValue.model_validate(metric.document()) for name, metric in metrics.items()}


def said(value: MetricValue, sign: str = "") -> str:
    """A number with its interval, in words."""
    if value.value is None:
        return "undefined"
    bounds = "" if value.low is None or value.high is None else f" ({value.low:{sign}.3f} .. {value.high:{sign}.3f})"
    return f"{value.value:{sign}.3f}{bounds}"
