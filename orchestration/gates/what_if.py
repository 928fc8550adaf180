"""What would a gate say at another threshold? A programme with single numbers changed, and the rows that come out
other.

A change is PHASE.METRIC.target=NUMBER or PHASE.METRIC.failure=NUMBER: it takes the place of all that the sections
state, so that the number that is given is the one that governs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from orchestration.documents import Decision, Phase
from orchestration.plan.programme import Programme

CHANGE = re.compile(r"(?P<phase>[123])\.(?P<metric>\w+)\.(?P<line>target|failure)=(?P<number>.+)")


class WhatIfError(ValueError):
    """A change that means nothing in this programme."""


@dataclass(frozen=True)
class Change:
    """One threshold that is set."""

    phase: Phase
    metric: str
    line: Literal["target", "failure"]
    number: float


@dataclass(frozen=True)
class Turned:
    """A row of the decision that comes out other than under the programme as it stands; `None`: no such row."""

    metric: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.metric}: {_said(self.before)} -> {_said(self.after)}"


def parse(text: str, programme: Programme) -> Change:
    """A change from its text.

    Raises:
        WhatIfError: not of that form, or no such criterion; it says what is allowed.
    """
    found = CHANGE.fullmatch(text.strip())
    if found is None:
        raise WhatIfError(f"--set {text}: give PHASE.METRIC.target=NUMBER or PHASE.METRIC.failure=NUMBER")
    phase: Phase = int(found["phase"])  # type: ignore[assignment]
    criteria = programme.phases[phase].criteria
    if found["metric"] not in criteria:
        raise WhatIfError(
            f"--set {text}: {found['metric']} is no criterion of phase {phase}; there are {', '.join(criteria)}"
        )
    try:
        number = float(found["number"])
    except ValueError:
        raise WhatIfError(f"--set {text}: {found['number']!r} is not a number") from None
    return Change(phase, found["metric"], found["line"], number)  # type: ignore[arg-type]


def changed(programme: Programme, changes: Sequence[Change]) -> Programme:
    """The programme with these thresholds.

    Raises:
        WhatIfError: the result contradicts itself.
    """
    body = programme.model_dump(by_alias=True)
    for change in changes:
        criteria = body["phases"][change.phase]["criteria"]
        stated = criteria[change.metric]
        governing = next(bar for bar in programme.bars(change.phase) if bar.metric == change.metric)
        kept = stated[0] if len(stated) == 1 and stated[0]["section"] == "house" else None
        lines = kept or {"section": "house", "target": governing.target, "failure": governing.failure}
        criteria[change.metric] = [lines | {change.line: change.number}]
    try:
        return Programme.model_validate(body)
    except ValidationError as error:
        raise WhatIfError(f"with --set the programme contradicts itself: {error.errors()[0]['msg']}") from None


def turned(before: Decision, after: Decision) -> list[Turned]:
    """The rows whose threshold or outcome is another."""
    rows = [{row.metric: row.document() for row in decision.criteria} for decision in (before, after)]
    compared = ("target", "failure", "outcome")
    names = dict.fromkeys((*rows[0], *rows[1]))
    pairs = ((name, rows[0].get(name), rows[1].get(name)) for name in names)
    return [
        Turned(name, old, new)
        for name, old, new in pairs
        if old is None or new is None or any(old[key] != new[key] for key in compared)
    ]


def _said(row: dict[str, Any] | None) -> str:
    if row is None:
        return "no such row"
    failure = "" if row["failure"] is None else f", failure {row['failure']:g}"
    return f"{row['outcome']} (target {row['target']:g}{failure})"
