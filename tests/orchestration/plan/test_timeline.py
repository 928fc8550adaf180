"""Planned against actual weeks, what is late, and the forecast end."""

import datetime as dt

import pytest

from orchestration.plan.programme import load
from orchestration.plan.timeline import PhaseDates, timeline

PROGRAMME, FIRST = load(), dt.date(2026, 3, 2)
WEEK = dt.timedelta(weeks=1)


def day(week: int, weekday: int = 0) -> dt.date:
    return FIRST + (week - 1) * WEEK + dt.timedelta(days=weekday)


def states(dates, today, first: dt.date | None = FIRST, recorded=None):
    return [row.state for row in timeline(PROGRAMME, dates, today, first, recorded).rows]


def test_the_checkpoints_are_due_at_the_end_of_weeks_3_5_and_7():
    rows = timeline(PROGRAMME, {}, day(1), FIRST, None).rows
    assert [row.due for row in rows if row.phase] == [day(3, 6), day(5, 6), day(7, 6)]
    assert [(row.from_week, row.to_week) for row in rows] == [(1, 1), (2, 3), (4, 5), (6, 8), (8, 9)]


def test_on_the_first_day_the_forecast_is_the_plan():
    plan = timeline(PROGRAMME, {}, day(1), FIRST, None)
    assert plan.week == 1
    assert plan.forecast_end == plan.planned_end == (FIRST + 8 * WEEK, FIRST + 9 * WEEK)
    assert plan.slip_weeks == 0


def test_a_step_ends_where_the_next_begins_and_a_phase_where_its_gate_lets_go():
    dates = {1: PhaseDates(began=day(2), decided=day(3), passed=day(3))}
    plan = timeline(PROGRAMME, dates, day(4), FIRST, None)
    assert [row.state for row in plan.rows] == ["done", "done", "to come", "to come", "to come"]
    assert [row.took(plan.today) for row in plan.rows[:2]] == [1.0, 1.0]


def test_a_phase_that_was_decided_and_not_let_through_waits_for_a_person():
    assert states({1: PhaseDates(began=day(2), decided=day(3))}, day(3, 5))[1] == "waits"


def test_a_phase_past_its_checkpoint_is_late_and_moves_the_end():
    dates = {1: PhaseDates(began=day(2))}
    assert states(dates, day(3, 6))[1] == "going on"
    assert states(dates, day(4))[1] == "late"
    plan = timeline(PROGRAMME, dates, day(6), FIRST, None)
    assert plan.forecast_end == (day(6) + 5 * WEEK, day(6) + 6 * WEEK)
    assert plan.slip_weeks == pytest.approx(2)


def test_what_is_done_sooner_brings_the_end_forward():
    dates = {phase: PhaseDates(day(1), day(1, 1), day(1, 1)) for phase in (1, 2, 3)}
    plan = timeline(PROGRAMME, dates, day(1, 1), FIRST, None)
    assert plan.forecast_end == (day(1, 1) + WEEK, day(1, 1) + WEEK)
    assert plan.slip_weeks is not None
    assert plan.slip_weeks < 0


def test_without_a_first_day_the_record_gives_one_and_says_so():
    plan = timeline(PROGRAMME, {1: PhaseDates(began=day(2))}, day(2), None, day(2))
    assert (plan.first_day, plan.first_day_is_set) == (day(2), False)
    empty = timeline(PROGRAMME, {}, day(2), None, None)
    assert empty.forecast_end is None
    assert {row.state for row in empty.rows} == {"to come"}
