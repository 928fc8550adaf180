"""What a programme cannot mean: numbers, actions and dates that no rule reconciles, each by the place where it stands.

Sections may disagree on a target: the strictest governs, and that is no contradiction. Everything here is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.plan.programme import PhasePlan, Programme

Found = Iterator[tuple[str, str]]
LEVELS = ("low", "medium", "high")


def contradictions(programme: Programme) -> Found:
    """(where, what) for each; the place is a path of keys of the file, joined by slashes."""
    if missing := {1, 2, 3} - set(programme.phases):
        yield "phases", f"{', '.join(map(str, sorted(missing)))} missing; allowed: exactly 1, 2, 3"
        return
    unknown = list(_unknown(programme))
    yield from unknown
    if unknown:
        return
    yield from _metrics(programme)
    for number, plan in programme.phases.items():
        yield from _thresholds(programme, number, plan)
        yield from _actions(number, plan)
        yield from _streams(number, plan)
    yield from _fallbacks(programme)
    yield from _overall(programme)
    yield from _timeline(programme)
    yield from _budget(programme)
    yield from _risks(programme)


def _unknown(programme: Programme) -> Found:
    """Names of metrics that the file itself does not define."""
    for where, name in _used(programme):
        if name not in programme.metrics:
            yield where, f"{name} is not under `metrics`; allowed: {', '.join(programme.metrics)}"


def _used(programme: Programme) -> Iterator[tuple[str, str]]:
    for number, plan in programme.phases.items():
        at = f"phases/{number}"
        yield from ((f"{at}/criteria/{name}", name) for name in plan.criteria)
        yield from ((f"{at}/beside/{index}", row.metric) for index, row in enumerate(plan.beside))
        if plan.single_stream is not None:
            for names in (*plan.single_stream.exceeds.values(), *plan.single_stream.keeps.values()):
                yield from ((f"{at}/single_stream", name) for name in names)
    yield from ((f"overall/criteria/{index}", row.metric) for index, row in enumerate(programme.overall.criteria))
    yield from (("overall/maintains/margins", name) for name in programme.overall.maintains.margins)


def _metrics(programme: Programme) -> Found:
    for name, metric in programme.metrics.items():
        if metric.least is not None and metric.most is not None and metric.least >= metric.most:
            yield f"metrics/{name}", f"least {metric.least:g} is not below most {metric.most:g}: no value is in range"


def _thresholds(programme: Programme, number: int, plan: PhasePlan) -> Found:
    for name, stated in plan.criteria.items():
        at, said = f"phases/{number}/criteria/{name}", f"phase {number}, {name}"
        sections = [threshold.section for threshold in stated]
        if twice := next((section for section in sections if sections.count(section) > 1), None):
            yield at, f"{said}: §{twice} states it twice; keep one"
        failures = {threshold.failure: threshold.section for threshold in stated if threshold.failure is not None}
        if len(failures) > 1:
            both = " and ".join(f"{value:g} (§{section})" for value, section in failures.items())
            yield at, f"{said}: two failure thresholds, {both}; no rule says which governs, keep one"
            continue
        for index, threshold in enumerate(stated):
            lines = (("target", threshold.target), ("failure", threshold.failure))
            yield from (
                (f"{at}/{index}", f"{said}: {what} {_out(programme, name, line)}")
                for what, line in lines
                if line is not None and _out(programme, name, line)
            )
        bar = next(bar for bar in programme.bars(number) if bar.metric == name)  # type: ignore[arg-type]
        if bar.failure is not None and bar.sign * bar.failure > bar.sign * bar.target:
            yield (
                at,
                f"{said}: failure {bar.failure:g} lies on the good side of target {bar.target:g} (§{bar.section}), and"
                f" {bar.better} is better; a value between them would be both GO and NO_GO",
            )
    for index, row in enumerate(plan.beside):
        if out := _out(programme, row.metric, row.target):
            yield f"phases/{number}/beside/{index}", f"phase {number}, {row.metric}: target {out}"


def _out(programme: Programme, name: str, line: float) -> str:
    """Why a threshold is in the wrong unit, if it is: no value of the metric could ever be beyond it."""
    metric = programme.metrics[name]
    if (metric.least is not None and line < metric.least) or (metric.most is not None and line > metric.most):
        least, most = ("-" if end is None else f"{end:g}" for end in (metric.least, metric.most))
        return f"{line:g} is outside the metric's range {least} to {most}: is it in another unit?"
    return ""


def _actions(number: int, plan: PhasePlan) -> Found:
    point = plan.decision
    if point.go == point.no_go:
        yield (
            f"phases/{number}/decision",
            f"phase {number}: GO and NO_GO are both {point.go!r}; nothing would be decided",
        )
    if waits := [name for name, action in (("go", point.go), ("no_go", point.no_go)) if action == "wait"]:
        yield f"phases/{number}/decision", f"phase {number}: {waits[0]} is 'wait', which only an open verdict does"


def _streams(number: int, plan: PhasePlan) -> Found:
    rule = plan.single_stream
    for arm, names in rule.exceeds.items() if rule else ():
        if both := sorted(set(names) & set(rule.keeps.get(arm, {})) if rule else ()):
            yield (
                f"phases/{number}/single_stream",
                f"phase {number}: the hybrid has to exceed {arm} in {both[0]} and may lose to it there; keep one",
            )


def _fallbacks(programme: Programme) -> Found:
    count = len(programme.worst_case.fallbacks)
    for number, plan in programme.phases.items():
        if (fallback := plan.if_it_fails.fallback) > count:
            at = f"phases/{number}/if_it_fails"
            yield at, f"phase {number}: `worst_case` has no fallback {fallback}; allowed: 1 to {count}"


def _overall(programme: Programme) -> Found:
    for index, row in enumerate(programme.overall.criteria):
        if out := _out(programme, row.metric, row.target):
            yield f"overall/criteria/{index}", f"{row.metric}: target {out}"


def _timeline(programme: Programme) -> Found:
    seen: list[str] = []
    for index, step in enumerate(programme.timeline.steps):
        at = f"timeline/steps/{index}"
        if step.name in seen:
            yield at, f"step {step.name!r} stands there twice"
        if step.after is not None and step.after not in seen:
            yield at, f"step {step.name!r} comes after {step.after!r}, which is not a step above it"
        if step.weeks[0] > step.weeks[1]:
            yield at, f"step {step.name!r}: weeks {step.weeks} run backwards"
        seen.append(step.name)
    if programme.timeline.total_weeks[0] > programme.timeline.total_weeks[1]:
        yield "timeline/total_weeks", f"{programme.timeline.total_weeks} run backwards"
    for (first, one), (second, other) in pairwise(sorted(programme.phases.items())):
        if one.decision.week >= other.decision.week:
            weeks = f"in week {other.decision.week}, not after phase {first} (week {one.decision.week})"
            yield f"phases/{second}/decision", f"phase {second} is decided {weeks}"


def _budget(programme: Programme) -> Found:
    hours, money = programme.budget.gpu_hours, programme.budget.money
    for name, phases in (("gpu_hours", hours.phases), ("storage_gb", programme.budget.storage_gb.phases)):
        if missing := set(programme.phases) - set(phases):
            yield f"budget/{name}/phases", f"phase {min(missing)} has no cap; allowed: exactly 1, 2, 3"
    if hours.warn.at >= (caps := sum(hours.phases.values())):
        yield (
            "budget/gpu_hours/warn",
            f"warns at {hours.warn.at:g} hours, but the caps add up to {caps:g}: it never would",
        )
    if money.compute_usd + money.storage_usd != money.total_usd:
        yield (
            "budget/money",
            f"{money.compute_usd:g} and {money.storage_usd:g} USD are not {money.total_usd:g} together",
        )
    asked = (hours.before.at + hours.warn.at) * hours.price.usd_per_hour
    if asked != money.compute_usd:
        yield (
            "budget/money",
            f"{hours.before.at + hours.warn.at:g} hours (§{hours.warn.section}) at {hours.price.usd_per_hour:g} USD are"
            f" {asked:g}, not {money.compute_usd:g} (§{money.section})",
        )


def _risks(programme: Programme) -> Found:
    """A risk that is called less likely than another must not have the higher probability."""
    for index, risk in enumerate(programme.risks):
        for other in programme.risks:
            if LEVELS.index(risk.level) < LEVELS.index(other.level) and risk.probability >= other.probability:
                yield (
                    f"risks/{index}",
                    f"{risk.risk!r} is {risk.level} at {risk.probability:g}, {other.risk!r} {other.level} at"
                    f" {other.probability:g}",
                )
                return
