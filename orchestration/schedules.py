"""What happens by the calendar: a weekly report, and the checkpoints of weeks 3, 5 and 7 (§4.4).

Both come on Monday at seven in the programme's time zone, in summer and in winter. A checkpoint asks for the phase's
gate on the first Monday after its week has ended; what has not been evaluated by then fails there, in the open. Without
$FORESIGHT_START no checkpoint is due and the tick says so.
"""

from zoneinfo import ZoneInfo

import dagster as dg

from orchestration import groups
from orchestration.data.datasets import Dataset
from orchestration.groups import PHASES
from orchestration.plan.weeks import START, first_day, week_of

MONDAY_MORNING = "0 7 * * 1"


def schedules(dataset: Dataset, checkpoints: dict[int, int], zone: ZoneInfo) -> list[dg.ScheduleDefinition]:
    """The weekly report and one checkpoint a phase, all of them stopped until a person starts them."""
    weekly = dg.ScheduleDefinition(
        name=f"{dataset.name}__weekly_report",
        cron_schedule=MONDAY_MORNING,
        execution_timezone=zone.key,
        target=[groups.key(dataset.name, "report")],
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="The chair's page, every Monday.",
    )
    return [weekly, *(_checkpoint(dataset, phase, checkpoints[phase], zone) for phase in PHASES)]


def _checkpoint(dataset: Dataset, phase: int, week: int, zone: ZoneInfo) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{dataset.name}__week{week}_checkpoint",
        cron_schedule=MONDAY_MORNING,
        execution_timezone=zone.key,
        target=[groups.key(dataset.name, f"phase{phase}_gate")],
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"The gate of phase {phase}, due in week {week} (§4.4).",
    )
    def checkpoint(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        first = first_day()
        now = week_of(context.scheduled_execution_time.astimezone(zone).date(), first)
        # Monday's tick looks back at the week that has ended.
        if now is None or now - 1 != week:
            return dg.SkipReason(f"week {week} has not just ended ({START}: {first or 'not set'})")
        return dg.RunRequest(run_key=f"{dataset.name}/{first}/week{week}")

    return checkpoint
