"""The first screen of the page: GO or not, on what evidence, at what cost, in what time, and what next (design §11)."""

from dataclasses import dataclass

from orchestration.documents import Decision
from orchestration.gates import board
from orchestration.gates.overall import next_step
from orchestration.report import figures, names, palette, plan
from orchestration.report.bundle import Override, ReportBundle

ACTIONS = {
    "continue": "continue",
    "abort": "abort",
    "simplify": "simplify",
    "proceed": "proceed",
    "partial_integration": "integrate in part",
    "wait": "wait",
}
_REASONS = 3
"""Reasons on the first screen; the rest stands in the phase's table."""


@dataclass(frozen=True)
class Answer:
    """One of the chair's questions, answered in a line, with a second line of small print."""

    question: str
    says: str
    more: str
    anchor: str


@dataclass(frozen=True)
class Head:
    """The decision, in one word and one sentence, and the answers."""

    mark: palette.Mark
    says: str
    because: list[str]
    override: Override | None
    next: str
    answers: list[Answer]


def head(bundle: ReportBundle) -> Head:
    """The first screen."""
    answers = [*_evidence(bundle), _cost(bundle), _time(bundle), *_risks(bundle)]
    if bundle.latest is None:
        return Head(palette.NOT_RUN, "No gate has been decided yet.", [], None, _next(bundle), answers)
    number = bundle.latest
    phase, of = bundle.phases[number], bundle.programme.phases[number]  # pyright: ignore[reportArgumentType]
    decision = phase.decision
    assert decision is not None
    action = ACTIONS[decision.action]
    n, rows = met(decision)
    where = f"Phase {number}, {of.name.lower()}"
    says = {
        "GO": f"{where}, meets {'its' if rows == 1 else f'all {rows} of its'} targets: {action}.",
        "NO_GO": f"{where}, is beyond a failure line: {action}. {n} of {rows} targets are met.",
        "MARGINAL": f"{where}, lies between target and failure line: a person decides. {n} of {rows} targets are met.",
        "INCONCLUSIVE": f"{where}, cannot be decided on what was measured: {action}. {n} of {rows} targets are met.",
    }[decision.verdict]
    mark = palette.mark(decision.verdict)
    return Head(mark, says, _because(bundle, number), phase.override, _next(bundle), answers)


def met(decision: Decision) -> tuple[int, int]:
    """How many of the rows that gate are GO, and how many there are."""
    outcomes = [row["outcome"] for row in board.criteria_rows(decision) if row["gates"]]
    return outcomes.count("GO"), len(outcomes)


def _because(bundle: ReportBundle, number: int) -> list[str]:
    """The reasons of the rows that made the verdict what it is."""
    decision = bundle.phases[number].decision
    if decision is None or decision.verdict == "GO":
        return []
    rows = [row for row in board.criteria_rows(decision) if row["gates"] and row["outcome"] == decision.verdict]
    reasons = [f"{names.metric(row['criterion']).words}: {row['why']}" for row in rows[:_REASONS]]
    if len(rows) > _REASONS:
        reasons.append(f"and {len(rows) - _REASONS} more, below")
    return reasons


def _next(bundle: ReportBundle) -> str:
    """The next step, and whose it is."""
    if bundle.latest is None:
        measured = any(phase.evaluation for phase in bundle.phases.values())
        return "Decide the gate of what was measured." if measured else "Run Phase 1; its gate is the first."
    phase = bundle.phases[bundle.latest]
    decision, last = phase.decision, bundle.latest == max(bundle.phases)
    assert decision is not None
    on = "the remaining experiments may be integrated" if last else f"Phase {bundle.latest + 1} may start"
    if decision.verdict == "GO":
        return f"{on[0].upper()}{on[1:]}."
    if phase.override is not None and phase.override.stands:
        return f"On {phase.override.by}'s word {on}, whatever the gate said."
    signs = f"or a person signs that {on}"
    if decision.verdict == "INCONCLUSIVE":
        what = f"about {decision.clips_needed:,} held-out clips" if decision.clips_needed else "what is open"
        return f"Measure {what} and decide again, {signs}."
    if decision.verdict == "MARGINAL":
        return f"A person decides: better numbers, {signs}."
    act = ACTIONS[decision.action]
    return f"{act[0].upper()}{act[1:]} (§4.4), {signs}. {next_step(bundle.programme, decision.phase)}"


def _evidence(bundle: ReportBundle) -> list[Answer]:
    evaluations = [phase.evaluation for phase in bundle.phases.values() if phase.evaluation]
    if not evaluations:
        return [Answer("Evidence", "Nothing measured yet", "", "phase1")]
    counts = " / ".join(str(n) for n in sorted({one.n_clips for one in evaluations}))
    profiles = " / ".join(sorted({one.profile for one in evaluations}))
    more = f"95 % intervals; {names.words(bundle.dataset)} clips, profile {profiles}"
    if bundle.latest and (decided := bundle.phases[bundle.latest].decided_at):
        more += f"; decided {decided:%d %b %Y}"
    return [Answer("Evidence", f"{counts} held-out clips", more, f"phase{bundle.latest or 1}")]


def _cost(bundle: ReportBundle) -> Answer:
    budget, cap = bundle.budget, sum(bundle.programme.budget.gpu_hours.phases.values())
    more = f"${budget['used_usd']:,.2f} spent"
    if budget["cpu_hours"]:
        more += f"; {figures.clock(budget['cpu_hours'] * 3600)} of CPU, which cost nothing"
    return Answer("Cost", f"{budget['used_gpu_hours']:.1f} of {cap:g} GPU-hours", more, "cost")


def _time(bundle: ReportBundle) -> Answer:
    of = bundle.timeline
    says = "Not begun" if of is None or of.week is None else f"Week {of.week} of {_total(bundle)}"
    took = f"; this run took {figures.clock(sum(bundle.times.values()))}" if bundle.times else ""
    return Answer("Time", says, f"{plan.end(of)}{took}", "time")


def _total(bundle: ReportBundle) -> str:
    least, most = (sum(step.weeks[end] for step in bundle.programme.timeline.steps) for end in (0, 1))
    return f"{least} to {most}"


def _risks(bundle: ReportBundle) -> list[Answer]:
    if not bundle.risks:
        return []
    counts = {state: [one for one in bundle.risks if one.state == state] for state in plan.ORDER}
    says = f"{len(counts['triggered'])} triggered" if counts["triggered"] else "None triggered"
    more = f"{len(counts['open'])} open, {len(counts['retired'])} retired"
    return [Answer("Risks", says, more, "risks")]
