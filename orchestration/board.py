"""The gate board: the rows of a decision, by one renderer for terminal, Dagster, MLflow and report (design §12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestration.documents import Criterion, Decision

if TYPE_CHECKING:
    from rich.table import Table

STYLE = {"GO": "bold green", "MARGINAL": "bold yellow", "NO_GO": "bold red", "INCONCLUSIVE": "bold cyan"}
COLUMNS = ("criterion", "value", "interval", "target", "failure", "§", "outcome")
NUMBERS = ("value", "interval", "target", "failure")


def criteria_rows(decision: Decision) -> list[dict[str, Any]]:
    """One dict of texts a criterion, in the order of the decision; `gates` says whether it counts."""
    pinned = decision.pins.get("thresholds")
    thresholds: dict[str, Any] = pinned if isinstance(pinned, dict) else {}
    return [_row(criterion, thresholds.get(criterion.metric) or {}) for criterion in decision.criteria]


def criteria_table(decision: Decision) -> Table:
    """The board as a Rich table of at most 100 columns; below it, in words, what is not GO."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = criteria_rows(decision)
    title = Text.assemble(
        f"Phase {decision.phase} gate: ",
        (decision.verdict, STYLE[decision.verdict]),
        f" -> {decision.action.replace('_', ' ')}",
        " (stand-ins)" if decision.pins.get("standins") else "",
    )
    words = [f"{row['label']}: {row['why']}" for row in rows if row["outcome"] != "GO"]
    if decision.clips_needed:
        words.append(f"About {decision.clips_needed} held-out clips would settle what is open.")
    table = Table(
        title=title, caption=Text("\n".join(words)), box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.title_justify = table.caption_justify = "left"
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in NUMBERS else "left", no_wrap=True)
    for row in rows:
        cells = [Text(row[key]) for key in ("label", "value", "interval", "target", "failure", "section", "outcome")]
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


def _label(metric: str, gates: bool) -> str:
    """The row's name for people: a gain over an arm, or a number that only stands beside."""
    name, _, rest = metric.partition("@")
    if name.endswith("_gain"):
        return f"{name.removesuffix('_gain')} over {rest}"
    return name if gates else f"{name} (beside)"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
