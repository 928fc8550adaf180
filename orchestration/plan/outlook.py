"""Timeline and risks for people and for programs: as tables of 100 columns, and as plain JSON types."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from orchestration.plan.risks import RiskState
    from orchestration.plan.timeline import Timeline

STYLE = {"late": "bold red", "waits": "bold yellow", "going on": "bold", "done": "green", "to come": "dim"}
RISK_STYLE = {"triggered": "bold red", "open": "", "retired": "dim"}
RISK_ORDER = ("triggered", "open", "retired")


def timeline_document(plan: Timeline) -> dict[str, Any]:
    """The timeline as plain JSON types; dates are of the programme's own calendar."""

    def date(day: Any) -> str | None:
        return None if day is None else day.isoformat()

    return {
        "section": plan.section,
        "today": date(plan.today),
        "first_day": date(plan.first_day),
        "first_day_is_set": plan.first_day_is_set,
        "week": plan.week,
        "planned_end": [date(day) for day in plan.planned_end] if plan.planned_end else None,
        "forecast_end": [date(day) for day in plan.forecast_end] if plan.forecast_end else None,
        "slip_weeks": plan.slip_weeks,
        "slip": plan.slip,
        "steps": [
            {
                "step": row.name,
                "phase": row.phase,
                "planned_weeks": [row.least_weeks, row.most_weeks],
                "from_week": row.from_week,
                "to_week": row.to_week,
                "due": date(row.due),
                "began": date(row.began),
                "ended": date(row.ended),
                "weeks_so_far": row.took(plan.today),
                "state": row.state,
            }
            for row in plan.rows
        ],
    }


def risk_document(one: RiskState) -> dict[str, Any]:
    """A risk as plain JSON types."""
    risk = one.risk
    return {
        "risk": risk.risk,
        "section": risk.section,
        "probability": risk.probability,
        "impact": risk.impact,
        "signal": risk.signal,
        "state": one.state,
        "why": one.why,
        "next_step": one.next_step,
    }


def timeline_table(plan: dict[str, Any]) -> Table:
    """The steps, planned and actual, and under them when it will end; from `timeline_document`."""
    table = _table(f"Timeline, §{plan['section']}", _end(plan))
    table.add_column("step")
    for column in ("planned", "due", "began", "ended", "weeks", "state"):
        table.add_column(column, no_wrap=True, justify="right" if column == "weeks" else "left")
    for row in plan["steps"]:
        took = "-" if row["weeks_so_far"] is None else f"{row['weeks_so_far']:.1f}"
        dates = [_day(row[name]) for name in ("due", "began", "ended")]
        table.add_row(row["step"], _weeks(row), *dates, took, f"[{STYLE[row['state']]}]{row['state']}[/]")
    return table


def risk_table(risks: list[dict[str, Any]]) -> Table:
    """The risks, triggered ones first with what to do; from `risk_document`."""
    from rich.text import Text

    table = _table("Risks, §4.1 and §4.2", "")
    table.add_column("state", no_wrap=True)
    table.add_column("risk", ratio=2)
    table.add_column("why, and what next", ratio=3)
    for one in sorted(risks, key=lambda one: RISK_ORDER.index(one["state"])):
        next_step = f"\n-> {one['next_step']}" if one["next_step"] else ""
        table.add_row(Text(one["state"], RISK_STYLE[one["state"]]), one["risk"], Text(f"{one['why']}{next_step}"))
    return table


def _table(title: str, caption: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, caption=caption or None)
    table.title_justify = table.caption_justify = "left"
    return table


def _weeks(row: dict[str, Any]) -> str:
    first, last = row["from_week"], row["to_week"]
    return f"week {first}" if first == last else f"weeks {first}-{last}"


def _day(day: str | None) -> str:
    return "-" if day is None else f"{dt.date.fromisoformat(day):%d %b %y}"


def _end(plan: dict[str, Any]) -> str:
    if plan["forecast_end"] is None:
        return "Nothing has begun. $FORESIGHT_START=YYYY-MM-DD sets the first day."
    early, late = (_day(day) for day in plan["forecast_end"])
    whence = "" if plan["first_day_is_set"] else ", that of the first entry in the record ($FORESIGHT_START sets it)"
    return (
        f"First day {_day(plan['first_day'])}{whence}. If what is left takes what the plan gives it, "
        f"the end is between {early} and {late}: {plan['slip']}."
    )
