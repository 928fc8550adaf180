"""Time and risks on the page: the plan of §3.2 beside what happened, and the risks of §4 as they stand."""

import re
from dataclasses import dataclass

from orchestration.documents import NAMES
from orchestration.plan.risks import RiskState, State
from orchestration.plan.timeline import Timeline
from orchestration.report import names
from orchestration.report.bundle import ReportBundle
from orchestration.report.figures.curves import clock

_WIDTH = 200.0
"""Units of a bar's picture."""
TONES = {"late": "nogo", "waits": "marginal", "going on": "open", "done": "go", "to come": "open"}
RISK_TONES: dict[State, str] = {"triggered": "nogo", "open": "open", "retired": "go"}
ORDER: tuple[State, ...] = ("triggered", "open", "retired")


@dataclass(frozen=True)
class PlanLine:
    """A step: its place in the plan in units of the picture, and its dates."""

    name: str
    weeks: str
    due: str
    actual: str
    state: str
    tone: str
    took: str
    x: str
    least: str
    most: str
    now: str | None
    """Where today lies in the plan's weeks."""


@dataclass(frozen=True)
class RiskLine:
    """A risk with its state and what answers it."""

    state: str
    tone: str
    name: str
    level: str
    impact: str
    why: str
    answer: str
    section: str


def lines(bundle: ReportBundle) -> list[PlanLine]:
    """The steps of the timeline one after another, each with the time that its stages took in this run."""
    plan = bundle.timeline
    if plan is None:
        return []
    end = sum(row.most_weeks for row in plan.rows)
    now = None if plan.first_day is None else (plan.today - plan.first_day).days / 7
    found, start = [], 0
    for row in plan.rows:
        found.append(
            PlanLine(
                name=row.name,
                weeks=row.weeks,
                due=f"{row.due:%d %b %Y}" if row.due else "–",
                actual=_actual(plan, row.began, row.ended),
                state=row.state,
                tone=TONES[row.state],
                took=_took(bundle, row.phase),
                x=f"{start / end * _WIDTH:.1f}",
                least=f"{row.least_weeks / end * _WIDTH:.1f}",
                most=f"{row.most_weeks / end * _WIDTH:.1f}",
                now=None if now is None or now > end else f"{now / end * _WIDTH:.1f}",
            )
        )
        start += row.most_weeks
    return found


def end(plan: Timeline | None) -> str:
    """When it will have ended, in one sentence."""
    if plan is None or plan.forecast_end is None:
        return "Nothing has begun."
    early, late = plan.forecast_end
    return f"End between {early:%d %b} and {late:%d %b %Y}, {plan.slip}"


def counted_from(plan: Timeline | None) -> str:
    """From which day the weeks are counted."""
    if plan is None or plan.first_day is None:
        return "The weeks are counted from $FORESIGHT_START, which is not set."
    whence = "" if plan.first_day_is_set else ", the day of the record's first entry ($FORESIGHT_START sets another)"
    counted = f"Weeks are counted from {plan.first_day:%d %b %Y}{whence}."
    return f"{counted} {end(plan)}, if what is left takes what the plan gives it."


def risks(bundle: ReportBundle) -> list[RiskLine]:
    """Triggered ones first, then open, then retired."""
    return [_risk(one) for one in sorted(bundle.risks, key=lambda one: ORDER.index(one.state))]


def _risk(one: RiskState) -> RiskLine:
    risk = one.risk
    return RiskLine(
        state=one.state,
        tone=RISK_TONES[one.state],
        name=risk.risk,
        level=f"{risk.level}, {risk.probability:.0%}".replace("%", " %"),
        impact=risk.impact,
        why=_in_words(one.why),
        answer=risk.mitigation,
        section=risk.section,
    )


def _in_words(why: str) -> str:
    """A reason with the metrics called as people call them."""
    return re.sub(rf"\b(?:{'|'.join(NAMES)})(?:_gain@\w+)?\b", lambda found: names.metric(found[0]).words, why)


def _actual(plan: Timeline, began: object, ended: object) -> str:
    if began is None:
        return "–"
    if ended is None:
        return f"since {began:%d %b %Y}"
    return f"{began:%d %b %Y}" if began == ended else f"{began:%d %b} – {ended:%d %b %Y}"


def _took(bundle: ReportBundle, phase: int | None) -> str:
    """The time of the phase's own stages: training, evaluation, gate. Empty when none of them was timed."""
    if phase is None:
        return ""
    seconds = [took for stage, took in bundle.times.items() if re.match(rf"(phase|evaluation){phase}(?!\d)", stage)]
    return clock(sum(seconds)) if seconds else ""
