"""The tables of the page: criteria beside their lines, arms and baselines beside the result (design §4.13, §7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestration.documents import ABSENT, Criterion, Decision, Evaluation, MetricValue
from orchestration.gates import board
from orchestration.gates.overall import Overall
from orchestration.report import names, palette
from orchestration.report.scale import Places, places

THRESHOLDS = ""
GAINS = "The hybrid against each single stream on the same clips: its gain, positive when the hybrid is better"
REPORTED = "Reported beside; these do not gate"
GROUPS = (THRESHOLDS, GAINS, REPORTED)


@dataclass(frozen=True)
class LinePicture:
    """A criterion's line for the page, 200 units wide."""

    at: Places
    says: str

    @staticmethod
    def x(place: float) -> str:
        """A place in the picture's units."""
        return f"{place * 200:.1f}"


@dataclass(frozen=True)
class CriterionRow:
    """A row of the gate board with its words, its mark and its picture."""

    board: Mapping[str, Any]
    words: str
    group: str
    """What kind of row it is; a heading stands where the kind changes."""
    mark: palette.Mark
    picture: LinePicture


@dataclass(frozen=True)
class Cell:
    words: str = ""
    value: str = "–"
    interval: str = ""
    kind: str = ""
    """`ours` for what the gate judges, `base` for a baseline, nothing for an arm."""


@dataclass(frozen=True)
class Line:
    words: str
    up: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class BesideTable:
    columns: tuple[Cell, ...]
    lines: tuple[Line, ...]
    note: str


def criteria(decision: Decision | Overall) -> list[CriterionRow]:
    """The board's rows by kind: thresholds, comparisons with single streams, and what is only reported."""
    rows = [_criterion(row, shown) for row, shown in zip(decision.criteria, board.criteria_rows(decision), strict=True)]
    return sorted(rows, key=lambda row: GROUPS.index(row.group))


def _criterion(row: Criterion, shown: Mapping[str, Any]) -> CriterionRow:
    words = names.metric(row.metric).words
    says = (
        f"{words} {shown['value']}, interval {shown['interval']}, target {shown['target']}, failure {shown['failure']}"
    )
    group = GAINS if "_gain@" in row.metric else THRESHOLDS if shown["gates"] else REPORTED
    return CriterionRow(shown, words, group, palette.mark(row.outcome), LinePicture(places(row), says))


def beside(evaluation: Evaluation) -> BesideTable | None:
    """Metrics down, arms and baselines across: what the gate judged first. Nothing to compare with: no table."""
    # Phase 1 has one arm and it is not the hybrid: what the gate judged goes by that arm's own name.
    judged = next(iter(evaluation.arms)) if len(evaluation.arms) == 1 else "hybrid" if evaluation.arms else "this phase"
    arms = {key: measured for key, measured in evaluation.arms.items() if key != judged}
    baselines = {key: measured for key, measured in evaluation.baselines.items() if key not in ABSENT}
    clips = f"{evaluation.n_clips} held-out clips, 95 % interval below"
    return _table(judged, evaluation.metrics, arms, baselines, f"Beside arms and baselines: {clips}")


def absent(evaluation: Evaluation) -> BesideTable | None:
    """The hybrid beside itself with a stream absent (§2.1); no table where that was not measured."""
    sets = {key: measured for key, measured in evaluation.baselines.items() if key in ABSENT}
    if not sets:
        return None
    whole = {
        key: value for key, value in evaluation.metrics.items() if any(key in measured for measured in sets.values())
    }
    return _table("hybrid", whole, sets, {}, "When a stream is absent (§2.1): the same checkpoint and the same clips")


def paired(evaluation: Evaluation) -> BesideTable | None:
    """The hybrid against each arm, clip by clip, in every metric (§4.4); no table where arms were not paired."""
    arms = {
        arm: gains
        for arm, measured in evaluation.arms.items()
        if (gains := {key.removesuffix("_gain"): one for key, one in measured.items() if key.endswith("_gain")})
    }
    if not arms:
        return None
    order = dict.fromkeys(key for gains in arms.values() for key in gains)
    lines = [
        Line(name.words, True, tuple(_gain(name, gains.get(key)) for gains in arms.values()))
        for key, name in ((key, names.metric(key)) for key in order)
    ]
    columns = tuple(Cell(words=f"Hybrid over {names.words(arm)}") for arm in arms)
    note = (
        "Hybrid against each arm on the same clips: mean gain, positive when the hybrid is better; 95 % interval below"
    )
    return BesideTable(columns, tuple(lines), note)


def _gain(name: names.MetricName, gain: MetricValue | None) -> Cell:
    if gain is None or gain.value is None:
        return Cell()
    value = f"{gain.value:+.{name.decimals}f}"
    if gain.low is None or gain.high is None:
        return Cell(value=value)
    told = "better" if gain.low > 0 else "worse" if gain.high < 0 else "not told apart"
    return Cell(value=value, interval=f"{gain.low:+.{name.decimals}f} – {gain.high:+.{name.decimals}f}, {told}")


def _table(
    judged: str,
    metrics: Mapping[str, MetricValue],
    arms: Mapping[str, Mapping[str, MetricValue]],
    baselines: Mapping[str, Mapping[str, MetricValue]],
    note: str,
) -> BesideTable | None:
    groups = {judged: metrics, **arms, **baselines}
    kinds = {key: "ours" if key == judged else "" if key in arms else "base" for key in groups}
    lines = [
        Line(
            name.words,
            name.higher_is_better,
            tuple(_cell(name, group.get(key), kinds[g]) for g, group in groups.items()),
        )
        for key, name in ((key, names.metric(key)) for key in _shown(groups))
    ]
    columns = tuple(
        Cell(
            words=names.words(key)[:1].upper() + names.words(key)[1:] if key == judged else names.words(key),
            kind=kinds[key],
        )
        for key in groups
    )
    return BesideTable(columns, tuple(lines), note) if lines else None


def _shown(groups: Mapping[str, Mapping[str, MetricValue]]) -> list[str]:
    """Metrics that some group has a value of, in the order of the documents; gains stand among the criteria."""
    order = dict.fromkeys(key for group in groups.values() for key in group if not key.endswith("_gain"))
    return [key for key in order if any(key in group and group[key].value is not None for group in groups.values())]


def _cell(name: names.MetricName, measured: MetricValue | None, kind: str) -> Cell:
    if measured is None:
        return Cell(kind=kind)
    return Cell(value=name.show(measured.value), interval=name.interval(measured.low, measured.high), kind=kind)
