"""How much longer: remaining steps over measured throughput, with an interval (design §8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Z = 1.959964  # the normal's two-sided 95% point
FEWEST = 3  # two samples have one degree of freedom: their interval says nothing


@dataclass(frozen=True)
class Forecast:
    """Hours to the end with a 95% prediction interval; `low` and `high` are None where too little was measured."""

    hours: float | None
    low: float | None
    high: float | None
    samples: int

    def fits(self, hours_left: float) -> Literal["yes", "no", "unclear"]:
        """Whether the hours that are left are enough."""
        if self.low is not None and self.low > hours_left:
            return "no"
        return "yes" if self.high is not None and self.high <= hours_left else "unclear"

    def then(self, after: Forecast) -> Forecast:
        """One after the other. Ends of the intervals add up, which is wider than 95% if the two err independently; what
        nothing is known of takes at least no time.
        """
        return Forecast(
            _both(self.hours, after.hours),
            (self.low or 0.0) + (after.low or 0.0),
            _both(self.high, after.high),
            self.samples + after.samples,
        )

    def less(self, hours: float) -> Forecast:
        """What is left of it once `hours` have passed."""

        def left(whole: float | None) -> float | None:
            return None if whole is None else max(0.0, whole - hours)

        return Forecast(left(self.hours), left(self.low), left(self.high), self.samples)


def forecast(remaining_steps: int, throughput: Sequence[tuple[int, float]]) -> Forecast:
    """From (steps, seconds) samples to the hours that `remaining_steps` will take.

    The rate is the ratio of the sums; its error is taken from how the samples scatter around it, and the steps to come
    scatter likewise. Samples are held to be independent: a machine that slows down steadily is not foreseen.
    """
    if remaining_steps <= 0:
        return Forecast(0.0, 0.0, 0.0, len(throughput))
    samples = [(steps, seconds) for steps, seconds in throughput if steps > 0 and seconds > 0]
    if not samples:
        return Forecast(None, None, None, 0)
    steps, count = sum(taken for taken, _ in samples), len(samples)
    rate = sum(seconds for _, seconds in samples) / steps
    hours = remaining_steps * rate / 3600
    if count < FEWEST:
        return Forecast(hours, None, None, count)
    variance = sum((seconds - rate * taken) ** 2 for taken, seconds in samples) / (count - 1)  # of one sample's seconds
    past, ahead = variance * count / steps**2, variance / (steps / count)
    spread = _t(count - 1) * math.sqrt(remaining_steps**2 * past + remaining_steps * ahead) / 3600
    return Forecast(hours, max(0.0, hours - spread), hours + spread, count)


def again(durations: Sequence[float]) -> Forecast:
    """The hours of one more run like those that took `durations` hours."""
    count = len(durations)
    if not count:
        return Forecast(None, None, None, 0)
    mean = sum(durations) / count
    if count < FEWEST:
        return Forecast(mean, None, None, count)
    variance = sum((one - mean) ** 2 for one in durations) / (count - 1)
    spread = _t(count - 1) * math.sqrt(variance * (1 + 1 / count))
    return Forecast(mean, max(0.0, mean - spread), mean + spread, count)


def _both(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _t(freedom: int) -> float:
    """Student's two-sided 95% point by Hill's expansion; within 4% from two degrees of freedom on."""
    terms = (
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
    )
    return Z + sum(term / freedom**power for power, term in enumerate(terms, 1))
