"""What happens by the calendar: a weekly report, and the checkpoints of weeks 3, 5 and 7 (§4.4).

The weeks are counted from the programme's first day, $FORESIGHT_START (YYYY-MM-DD); without it no checkpoint is due
and the tick says so. A checkpoint asks for the phase's gate; what has not been evaluated by then fails there, in the
open.
"""

import datetime as dt
import os

import dagster as dg

from orchestration import groups
from orchestration.datasets import Dataset
from orchestration.groups import PHASES

START = "FORESIGHT_START"
MONDAY_MORNING = "0 7 * * 1"


def weeks(start: str, today: dt.date) -> int | None:
    """In which week of the programme a day lies, the first being 1; none before it, or without a start."""
    if not start:
        return None
    passed = (today - dt.date.fromisoformat(start)).days
    return passed // 7 + 1 if passed >= 0 else None


def schedules(dataset: Dataset, checkpoints: dict[int, int]) -> list[dg.ScheduleDefinition]:
    """The weekly report and one checkpoint a phase, all of them stopped until a person starts them."""
    weekly = dg.ScheduleDefinition(
        name=f"{dataset.name}__weekly_report",
        cron_schedule=MONDAY_MORNING,
        target=[groups.key(dataset.name, "report")],
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="The chair's page, every Monday.",
    )
    return [weekly, *(_checkpoint(dataset, phase, checkpoints[phase]) for phase in PHASES)]


def _checkpoint(dataset: Dataset, phase: int, week: int) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{dataset.name}__week{week}_checkpoint",
        cron_schedule=MONDAY_MORNING,
        target=[groups.key(dataset.name, f"phase{phase}_gate")],
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"The gate of phase {phase}, due in week {week} (§4.4).",
    )
    def checkpoint(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = weeks(os.environ.get(START, ""), context.scheduled_execution_time.date())
        # Monday's tick looks back at the week that has ended.
        if now is None or now - 1 != week:
            return dg.SkipReason(f"week {week} has not just ended ({START}: {os.environ.get(START) or 'not set'})")
        return dg.RunRequest(run_key=f"{dataset.name}/week{week}")

    return checkpoint
