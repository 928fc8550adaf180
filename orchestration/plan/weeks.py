"""The weeks of the programme (§3.2, §4.4): from which day they are counted, and in which time zone a day begins.

The first day is $FORESIGHT_START (YYYY-MM-DD). The zone is the programme's, or that of $FORESIGHT_TIMEZONE, such as
Europe/Berlin. Days are counted by the local calendar, so a change to or from summer time moves no week.
"""

import datetime as dt
import os
from zoneinfo import ZoneInfo

from orchestration.plan.programme import Timeline

START, TIMEZONE = "FORESIGHT_START", "FORESIGHT_TIMEZONE"
WEEK = dt.timedelta(weeks=1)


class WeeksError(ValueError):
    """A first day or a time zone that is none."""


def zone(timeline: Timeline) -> ZoneInfo:
    """The time zone of the programme's days."""
    name = os.environ.get(TIMEZONE) or timeline.timezone
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise WeeksError(f"{TIMEZONE}={name}: no such time zone; give one as Europe/Berlin or UTC") from None


def first_day() -> dt.date | None:
    """The programme's first day, where it is set."""
    given = os.environ.get(START, "")
    if not given:
        return None
    try:
        return dt.date.fromisoformat(given)
    except ValueError:
        raise WeeksError(f"{START}={given}: no such day; give the first day of the programme as YYYY-MM-DD") from None


def week_of(day: dt.date, first: dt.date | None) -> int | None:
    """In which week of the programme a day lies, the first being 1; none before it, or without a first day."""
    if first is None or day < first:
        return None
    return (day - first).days // 7 + 1
