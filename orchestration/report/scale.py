"""A criterion on a line: where target, failure line, value and interval lie, from 0 to 1 (design §7).

The page's inline picture and the figure for MLflow draw from these places, so they can never tell two stories.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from orchestration.report import names


class Row(Protocol):
    """What is needed of a decision's criterion to draw it."""

    @property
    def metric(self) -> str: ...
    @property
    def target(self) -> float | None: ...
    @property
    def failure(self) -> float | None: ...
    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def outcome(self) -> str: ...


@dataclass(frozen=True)
class Places:
    """Places on a line from 0 (left) to 1 (right), larger numbers to the right; None is not known."""

    target: float | None
    failure: float | None
    value: float | None
    low: float | None
    high: float | None
    good_right: bool
    """The good side is the right one: larger is better."""

    @property
    def good(self) -> tuple[float, float] | None:
        """The part of the line where the target is met."""
        if self.target is None:
            return None
        return (self.target, 1.0) if self.good_right else (0.0, self.target)

    @property
    def bad(self) -> tuple[float, float] | None:
        """The part of the line where the criterion fails."""
        if self.failure is None:
            return None
        return (0.0, self.failure) if self.good_right else (self.failure, 1.0)


def places(row: Row) -> Places:
    """Lay one criterion out: all its numbers inside, the lines some way apart and off the ends."""
    known = [x for x in (row.target, row.failure, row.value, row.low, row.high) if x is not None and math.isfinite(x)]
    lines = [x for x in (row.target, row.failure) if x is not None]
    margin = 0.25 * ((max(known) - min(known)) or abs(known[0]) or 1.0) if known else 1.0
    least, most = min(known, default=0.0) - margin, max(known, default=1.0) + margin
    if known and least < 0 < min(known):
        least = 0.0

    def place(x: float | None) -> float | None:
        return None if x is None or not math.isfinite(x) else (x - least) / (most - least)

    return Places(
        target=place(row.target),
        failure=place(row.failure),
        value=place(row.value),
        low=place(row.low),
        high=place(row.high),
        good_right=lines[0] > lines[1] if len(set(lines)) == 2 else names.metric(row.metric).higher_is_better,
    )
