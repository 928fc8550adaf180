"""Which study to run first on real weights: the information that its claims are expected to give, per dollar.

A heuristic that rests on stand-ins, and says so wherever it is shown. Before the real run a claim holds with the
probability that a normal has beyond its line, around the value that the stand-ins gave and with their interval's
deviation widened `WIDENED` times: another network may answer otherwise, and a value near its line is the least known.
A claim that was not measured is a coin. The entropy of that, in bits, is what a run that settles the claim gives;
claims are taken to be independent, and every run to settle its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2

from scipy.stats import norm

from orchestration.documents import MetricValue
from orchestration.studies.declaration import ClaimRule

WIDENED = 5.0
"""How much less a stand-in's interval is believed than its own clips say (house)."""


@dataclass(frozen=True)
class Worth:
    """What a study is expected to tell, and what it costs."""

    experiment: str
    bits: float
    usd: float
    measured: bool
    """Whether any of its claims was measured on stand-ins; else all are coins."""

    @property
    def bits_per_usd(self) -> float:
        """Infinite where it costs nothing."""
        return self.bits / self.usd if self.usd else float("inf")


def worth(experiment: str, rules: Sequence[ClaimRule], values: Mapping[str, MetricValue], usd: float) -> Worth:
    """Of one study: `values` are those that the laptop's run gave, none where it has not run."""
    bits = [entropy(holds(rule, values.get(rule.value))) for rule in rules]
    return Worth(experiment, sum(bits), usd, any(_known(values.get(rule.value)) for rule in rules))


def ranked(found: Sequence[Worth]) -> list[Worth]:
    """The most bits per dollar first."""
    return sorted(found, key=lambda one: (-one.bits_per_usd, one.experiment))


def holds(rule: ClaimRule, value: MetricValue | None) -> float:
    """The probability that a claim holds on real weights, as far as stand-ins can tell."""
    if value is None or value.value is None or value.low is None or value.high is None:
        return 0.5
    deviation = WIDENED * (value.high - value.low) / 2 / norm.ppf(0.975)
    beyond = value.value - rule.line if rule.above is not None else rule.line - value.value
    if deviation == 0:
        return 0.5 if beyond == 0 else float(beyond > 0)
    return float(norm.cdf(beyond / deviation))


def entropy(probability: float) -> float:
    """Of a claim that holds with this probability, in bits: 1 of a coin, 0 of what is certain."""
    return -sum(p * log2(p) for p in (probability, 1 - probability) if p > 0)


def _known(value: MetricValue | None) -> bool:
    return value is not None and value.value is not None
