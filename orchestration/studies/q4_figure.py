"""Q4 drawn: held-out error against the number of train clips, with the fitted law and the gates' targets."""

from collections.abc import Mapping
from typing import Any

from orchestration.report import palette
from orchestration.report.figures.canvas import heading, png, sheet

COLUMNS = 2
COLOUR = palette.SERIES["hybrid"]


def curves(found: Mapping[str, Mapping[str, Any]]) -> bytes:
    """A panel a measure."""
    lines = -(-len(found) // COLUMNS)
    figure, rows = sheet(2.3 * lines, lines, COLUMNS)
    panels = [axes for row in rows for axes in row]
    for axes, (measure, one) in zip(panels, found.items(), strict=False):
        axes.fill_between(
            one["along"], one["low"], one["high"], color=palette.SERIES["hybrid"], alpha=0.15, linewidth=0
        )
        axes.plot(one["along"], one["curve"], color=palette.SERIES["hybrid"], linewidth=1.4)
        for clips, errors in zip(one["clips"], one["seeds"], strict=True):
            axes.plot([clips] * len(errors), errors, "o", color=COLOUR, markersize=3)
        for gate, target in one["targets"].items():
            axes.axhline(target, color=palette.TARGET, linewidth=0.8)
            axes.text(
                one["along"][-1], target, f"Phase {gate}", fontsize=6.5, color=palette.TARGET, ha="right", va="bottom"
            )
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.grid(color=palette.RULE, linewidth=0.6)
        axes.set_xlabel("train clips")
        heading(axes, f"Error of {measure.replace('_', ' ')} (↓ better)")
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    return png(figure)
