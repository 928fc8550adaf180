"""The calendar: every Monday once, at seven by the local clock, over both changes of it; and the weeks of §4.4."""

import datetime as dt
import importlib
import logging
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time, instance_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._scheduler.scheduler import launch_scheduled_runs

from orchestration.plan.programme import load
from orchestration.plan.weeks import WeeksError, first_day, week_of, zone
from tests.orchestration import calendar_location

BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
CHANGES = [  # the Sunday on which the clock changes, to and from summer time
    (BERLIN, dt.date(2026, 3, 29)),
    (BERLIN, dt.date(2026, 10, 25)),
    (NEW_YORK, dt.date(2026, 11, 1)),
    (LORD_HOWE, dt.date(2026, 4, 5)),
]
LAUNCHER = {"run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}}


def ticks(zone, start: dt.datetime, hours: list[float], monkeypatch, first: dt.date | None):
    """What the scheduler did when it woke up at these hours after `start`: ticks by schedule, and what it launched."""
    monkeypatch.setenv("FORESIGHT_TIMEZONE", zone.key)
    monkeypatch.setenv("FORESIGHT_START", first.isoformat() if first else "")
    importlib.reload(calendar_location)
    target = LoadableTargetOrigin(module_name="tests.orchestration.calendar_location", attribute="defs")
    load_target = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target, location_name="calendar"))
    with instance_for_test(overrides=LAUNCHER) as instance:
        with create_test_daemon_workspace_context(load_target, instance) as workspace:
            (place,) = workspace.create_request_context().get_code_location_entries().values()
            (repository,) = place.code_location.get_repositories().values()
            with freeze_time(start):
                for schedule in repository.get_schedules():
                    instance.start_schedule(schedule)
            for passed in hours:
                now = start + dt.timedelta(hours=passed)
                with freeze_time(now):
                    list(launch_scheduled_runs(workspace, logging.getLogger("scheduler"), now, iteration_times={}))
        found = {
            schedule.name: [
                dt.datetime.fromtimestamp(tick.timestamp, zone)
                for tick in instance.get_ticks(schedule.get_remote_origin_id(), schedule.selector_id)
            ]
            for schedule in repository.get_schedules()
        }
        return found, [run.tags.get("dagster/schedule_name") for run in instance.get_runs()]


@pytest.mark.parametrize(("zone", "sunday"), CHANGES)
def test_over_a_change_of_the_clock_each_monday_ticks_once_at_seven(zone, sunday, monkeypatch):
    monday = sunday + dt.timedelta(days=1)
    start = dt.datetime.combine(monday - dt.timedelta(days=7), dt.time(6, 30), zone).astimezone(dt.UTC)
    hours = [1, 6 * 24, *range(7 * 24 - 2, 7 * 24 + 4), 8 * 24]
    found, launched = ticks(zone, start, hours, monkeypatch, None)
    local = [when.replace(tzinfo=None) for when in sorted(found["moving_shapes__weekly_report"])]
    assert local == [dt.datetime.combine(day, dt.time(7)) for day in (monday - dt.timedelta(days=7), monday)]
    assert launched == ["moving_shapes__weekly_report"] * 2


def test_a_scheduler_that_slept_over_the_change_makes_up_for_it_once(monkeypatch):
    zone, sunday = CHANGES[1]
    start = dt.datetime.combine(sunday - dt.timedelta(days=2), dt.time(12), zone).astimezone(dt.UTC)
    _, launched = ticks(zone, start, [5 * 24, 5 * 24 + 1], monkeypatch, None)
    assert launched == ["moving_shapes__weekly_report"]


def test_the_checkpoint_of_week_3_comes_on_the_monday_after_it_over_a_change(monkeypatch):
    zone, sunday = CHANGES[0]  # the last day of week 3
    first = sunday - dt.timedelta(days=20)
    start = dt.datetime.combine(sunday - dt.timedelta(days=14), dt.time(12), zone).astimezone(dt.UTC)
    found, launched = ticks(zone, start, [7 * 24, 14 * 24, 21 * 24, 28 * 24], monkeypatch, first)
    assert len(found["moving_shapes__week3_checkpoint"]) == 4
    assert launched.count("moving_shapes__week3_checkpoint") == 1
    assert launched.count("moving_shapes__week5_checkpoint") == 0


def test_a_week_is_of_the_local_day_not_of_utc():
    auckland = ZoneInfo("Pacific/Auckland")
    first = dt.date(2026, 6, 1)
    seven = dt.datetime(2026, 6, 8, 7, tzinfo=auckland)
    assert seven.astimezone(dt.UTC).date() == dt.date(2026, 6, 7)
    assert week_of(seven.astimezone(auckland).date(), first) == 2


@pytest.mark.parametrize(
    ("day", "week"), [("2026-03-01", None), ("2026-03-02", 1), ("2026-03-08", 1), ("2026-03-09", 2), ("2026-03-30", 5)]
)
def test_weeks_begin_with_the_first_day(day, week):
    assert week_of(dt.date.fromisoformat(day), dt.date(2026, 3, 2)) == week
    assert week_of(dt.date.fromisoformat(day), None) is None


def test_a_wrong_zone_or_first_day_says_what_to_give(monkeypatch):
    monkeypatch.setenv("FORESIGHT_TIMEZONE", "Berlin")
    with pytest.raises(WeeksError, match="Europe/Berlin"):
        zone(load().timeline)
    monkeypatch.setenv("FORESIGHT_START", "next week")
    with pytest.raises(WeeksError, match="YYYY-MM-DD"):
        first_day()


def test_the_schedules_of_the_programme_carry_its_zone(tmp_path, monkeypatch):
    from orchestration.definitions import build
    from orchestration.home import Home

    monkeypatch.setenv("FORESIGHT_TIMEZONE", "Europe/Berlin")
    made = build(Home(tmp_path), "laptop").schedules or []
    assert {one.execution_timezone for one in made if isinstance(one, dg.ScheduleDefinition)} == {"Europe/Berlin"}
