"""The gate board: the rows of a decision, by one renderer for terminal, Dagster, MLflow and report (design §12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestration.documents import Criterion, Decision

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from orchestration.fallbacks.verdict import FallbackVerdict
    from orchestration.gates.overall import Overall
    from orchestration.plan.programme import Programme

STYLE = {"GO": "bold green", "MARGINAL": "bold yellow", "NO_GO": "bold red", "INCONCLUSIVE": "bold cyan"}
COLUMNS = ("criterion", "value", "interval", "target", "failure", "§", "outcome")
BESIDE = {
    "ceiling": "ceiling",
    "null": "null",
    "lift": "over null",
    "true_lift": "over null on true clips",
    "caption": "by captions",
    "probe": "by a probe",
}
"""What stands beside a criterion's number, in the order in which it is shown."""
NUMBERS = ("value", "interval", "target", "failure")


def criteria_rows(decision: Decision | Overall | FallbackVerdict) -> list[dict[str, Any]]:
    """One dict of texts a criterion, in the order of the decision; `gates` says whether it counts."""
    pinned = decision.pins.get("thresholds")
    thresholds: dict[str, Any] = pinned if isinstance(pinned, dict) else {}
    beside = decision.pins.get("beside")
    found: dict[str, Any] = beside if isinstance(beside, dict) else {}
    return [
        _row(criterion, thresholds.get(criterion.metric) or {}) | {"beside": _beside(criterion.metric, found)}
        for criterion in decision.criteria
    ]


def criteria_table(decision: Decision, programme: Programme | None = None) -> Table:
    """The board as a Rich table of at most 100 columns; below it, in words, what is not GO.

    With the programme, also what a NO_GO shows and what then comes first (§4.3).
    """
    from rich.text import Text

    from orchestration.gates.overall import next_step

    rows = criteria_rows(decision)
    title = Text.assemble(
        f"Phase {decision.phase} gate: ",
        (decision.verdict, STYLE[decision.verdict]),
        f" -> {decision.action.replace('_', ' ')}",
        " (stand-ins)" if decision.pins.get("standins") else "",
    )
    words = [f"{row['label']}: {row['why']}" for row in rows if row["outcome"] != "GO"]
    words += [f"{row['label']}, beside it: {row['beside']}" for row in rows if row["beside"]]
    if decision.clips_needed:
        words.append(f"About {decision.clips_needed} held-out clips would settle what is open.")
    if decision.verdict == "NO_GO" and programme is not None:
        words.append(next_step(programme, decision.phase))
    return _table(title, rows, words)


def overall_table(overall: Overall) -> Table:
    """The project's own board (§6.4); below it what each gate said, and the next step where the project fails."""
    from rich.text import Text

    standins = " (stand-ins)" if overall.pins.get("standins") else ""
    title = Text.assemble("The project as a whole (§6.4): ", (overall.verdict, STYLE[overall.verdict]), standins)
    rows = criteria_rows(overall)
    words = [f"{row['label']}: {row['why']}" for row in rows if row["outcome"] != "GO"]
    words.append(", ".join(f"Phase {phase}: {said or 'not decided'}" for phase, said in overall.gates.items()) + ".")
    return _table(title, rows, [*words, *([overall.next_step] if overall.next_step else [])])


def fallback_table(found: FallbackVerdict) -> Table:
    """A fallback's board (§4.3): what it is not, what it leaves aside and what the gate says stand with it."""
    from rich.text import Text

    standins = " (stand-ins)" if found.standins else ""
    title = Text.assemble(
        f"Fallback, not a gate - {found.title}, arm {found.arm}: ", (found.verdict, STYLE[found.verdict]), standins
    )
    rows = criteria_rows(found)
    words = [f"{row['label']}: {row['why']}" for row in rows if row["outcome"] != "GO"]
    words += [f"{name} is set aside: {why}" for name, why in found.aside.items()]
    words.append(
        f"The gate of this phase says {found.gate_verdict} of the same evaluation, and it alone opens the next."
    )
    return _table(title, rows, words)


def _table(title: Text, rows: list[dict[str, Any]], words: list[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, caption=Text("\n".join(words)), box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.title_justify = table.caption_justify = "left"
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in NUMBERS else "left", no_wrap=True)
    for row in rows:
        label = row["label"].removesuffix("_only")  # 100 columns have no room for it
        rest = ("value", "interval", "target", "failure", "section", "outcome")
        cells = [Text(label), *(Text(row[key]) for key in rest)]
        cells[-1].stylize(STYLE[row["outcome"]] if row["gates"] else "dim")
        table.add_row(*cells, style=None if row["gates"] else "dim")
    return table


def _row(criterion: Criterion, threshold: dict[str, Any]) -> dict[str, Any]:
    past, short = ("<", ">") if threshold.get("better") == "lower" else (">", "<")
    return {
        "criterion": criterion.metric,
        "label": _label(criterion.metric, threshold.get("gates", True)),
        "value": _number(criterion.value),
        "interval": "-" if criterion.low is None else f"{_number(criterion.low)} .. {_number(criterion.high)}",
        "target": f"{past} {criterion.target:g}",
        "failure": "-" if criterion.failure is None else f"{short} {criterion.failure:g}",
        "section": criterion.section,
        "outcome": criterion.outcome,
        "why": criterion.why,
        "gates": threshold.get("gates", True),
    }


def _beside(metric: str, found: dict[str, Any]) -> str:
    """What the number is to be read beside, in one line: its ceiling, its null, the gain over that."""
    parts = []
    for key, words in BESIDE.items():
        value = found.get(f"{metric}_{key}") or {}
        if value.get("value") is not None:
            interval = f" ({_number(value['low'])} .. {_number(value['high'])})" if value["low"] is not None else ""
            parts.append(f"{words} {_number(value['value'])}{interval}")
    return ", ".join(parts)


def _label(metric: str, gates: bool) -> str:
    """The row's name for people: a gain over an arm, or a number that only stands beside."""
    name, _, rest = metric.partition("@")
    if name.endswith("_gain"):
        return f"{name.removesuffix('_gain')} over {rest}"
    return name if gates else f"{name} (beside)"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
