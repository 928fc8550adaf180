"""The plan of §3.2 beside what happened: planned and actual weeks of each step, what is late, and the forecast end.

A pure function of the plan, of when each phase began and was let through, and of the day. What is still to come is held
to last as long as planned, from where the programme stands; a forecast that counts slips is not made from three phases.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestration.plan.programme import Programme, Step
from orchestration.plan.weeks import WEEK, week_of

State = Literal["done", "going on", "waits", "late", "to come"]


@dataclass(frozen=True)
class PhaseDates:
    """When a phase was first dispatched, first decided, and let through: by a GO, or by an override of what it was."""

    began: dt.date | None = None
    decided: dt.date | None = None
    passed: dt.date | None = None


@dataclass(frozen=True)
class Row:
    """One step. Weeks are counted from 1; the plan's earliest and latest are both inclusive ends."""

    name: str
    phase: int | None
    least_weeks: int
    most_weeks: int
    from_week: int
    to_week: int
    """The last week that the plan gives it, when nothing before it takes longer than it may."""
    due: dt.date | None
    """The last day for it: of a phase the end of its checkpoint's week (§4.4), else of `to_week`."""
    began: dt.date | None
    ended: dt.date | None
    state: State

    @property
    def weeks(self) -> str:
        """As the plan says it."""
        if self.least_weeks == self.most_weeks:
            return f"{self.least_weeks} week{'s' if self.least_weeks > 1 else ''}"
        return f"{self.least_weeks} to {self.most_weeks} weeks"

    def took(self, today: dt.date) -> float | None:
        """Weeks from its beginning to its end, or to today."""
        return None if self.began is None else ((self.ended or today) - self.began).days / 7


@dataclass(frozen=True)
class Timeline:
    """All steps in order, and when the last will have ended."""

    section: str
    today: dt.date
    first_day: dt.date | None
    first_day_is_set: bool
    """False where the first day is only that of the first entry in the record."""
    week: int | None
    rows: tuple[Row, ...]
    planned_end: tuple[dt.date, dt.date] | None
    forecast_end: tuple[dt.date, dt.date] | None
    """Earliest and latest."""

    @property
    def slip_weeks(self) -> float | None:
        """How much later than planned the latest end is; negative: earlier."""
        if self.planned_end is None or self.forecast_end is None:
            return None
        return (self.forecast_end[1] - self.planned_end[1]).days / 7

    @property
    def slip(self) -> str:
        """The same in words."""
        weeks = self.slip_weeks
        if weeks is None:
            return "not begun"
        if abs(weeks) < 0.1:
            return "as planned"
        return f"{abs(weeks):.1f} weeks {'later' if weeks > 0 else 'earlier'} than planned"


def timeline(
    programme: Programme,
    dates: Mapping[int, PhaseDates],
    today: dt.date,
    first: dt.date | None,
    recorded: dt.date | None,
) -> Timeline:
    """The plan against the record.

    Args:
        dates: of each phase that has any.
        first: the programme's first day where it is set; `recorded`, the day of the first entry, stands in for it.
    """
    start, steps = first or recorded, programme.timeline.steps
    rows, least, most = [], 0, 0
    for number, step in enumerate(steps):
        least, most = least + step.weeks[0], most + step.weeks[1]
        due = None if start is None else start + _due_week(programme, step, most) * WEEK - dt.timedelta(days=1)
        began, ended = _actual(steps, number, dates, start)
        waits = step.phase is not None and dates.get(step.phase, PhaseDates()).decided is not None
        rows.append(
            Row(
                name=step.name,
                phase=step.phase,
                least_weeks=step.weeks[0],
                most_weeks=step.weeks[1],
                from_week=least - step.weeks[0] + 1,
                to_week=most,
                due=due,
                began=began,
                ended=ended,
                state=_state(began, ended, due, today, waits=waits),
            )
        )
    return Timeline(
        section=programme.timeline.section,
        today=today,
        first_day=start,
        first_day_is_set=first is not None,
        week=week_of(today, start),
        rows=tuple(rows),
        planned_end=None if start is None else (start + least * WEEK, start + most * WEEK),
        forecast_end=None if start is None else _forecast(rows, today, start),
    )


def _due_week(programme: Programme, step: Step, latest: int) -> int:
    return latest if step.phase is None else programme.phases[step.phase].decision.week


def _actual(
    steps: list[Step], number: int, dates: Mapping[int, PhaseDates], start: dt.date | None
) -> tuple[dt.date | None, dt.date | None]:
    """When a step began and ended. One that is no phase lasts from the phase before it to the phase after it."""
    phase = steps[number].phase
    if phase is not None:
        mine = dates.get(phase, PhaseDates())
        return mine.began, mine.passed
    before = [step.phase for step in steps[:number] if step.phase is not None]
    after = [step.phase for step in steps[number + 1 :] if step.phase is not None]
    began = dates.get(before[-1], PhaseDates()).passed if before else start
    ended = dates.get(after[0], PhaseDates()).began if after else None
    return began, ended


def _state(began: dt.date | None, ended: dt.date | None, due: dt.date | None, today: dt.date, *, waits: bool) -> State:
    if ended is not None:
        return "done"
    if due is not None and today > due:
        return "late"
    if waits:
        return "waits"
    return "to come" if began is None or began > today else "going on"


def _forecast(rows: list[Row], today: dt.date, start: dt.date) -> tuple[dt.date, dt.date]:
    """The end of the last step: what is done as it was, what goes on no sooner than today, the rest as planned."""
    early = late = start
    for row in rows:
        if row.ended is not None:
            early = late = row.ended
            continue
        began_early, began_late = (row.began, row.began) if row.began else (early, late)
        early = max(today, began_early + row.least_weeks * WEEK)
        late = max(today, began_late + row.most_weeks * WEEK)
    return early, late
