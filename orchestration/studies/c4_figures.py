"""C4 drawn: accuracy by the way a future is chosen, and the ROC of the pixel measure."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestration.report import palette
from orchestration.report.figures.canvas import heading, png, sheet

COLOURS = {"first": palette.BASELINE, "semantic": palette.SERIES["vlm_only"], "verified": palette.SERIES["hybrid"]}
WORDS = {"first": "first draw", "record": "best record", "own_loss": "own loss", "best": "best there is"}


def figures(series: Mapping[str, Any]) -> dict[str, bytes]:
    """By name; what was not measured is not drawn."""
    drawn = {"accuracy": accuracy(series["ways"])} if series.get("ways") else {}
    return drawn | ({"roc": roc(series["roc"])} if series.get("roc") else {})


def accuracy(ways: Sequence[Mapping[str, Any]]) -> bytes:
    """A bar a way; controls hatched."""
    figure, [[axes]] = sheet(2.8)
    for x, way in enumerate(ways):
        colour = COLOURS.get(way["way"], palette.BASELINE)
        hatch = "///" if way["control"] else None
        axes.bar(x, way["value"], 0.62, color=colour, alpha=0.5 if way["control"] else 0.9, hatch=hatch, linewidth=0)
        axes.plot([x] * len(way["seeds"]), way["seeds"], "_", color=palette.INK, markersize=9, markeredgewidth=1.2)
        if way["low"] is not None:
            axes.plot([x, x], [way["low"], way["high"]], color=palette.INK, linewidth=1.2)
    axes.set_xticks(range(len(ways)), [str(WORDS.get(way["way"], way["way"])) for way in ways])
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of clips that are right")
    axes.grid(axis="y", color=palette.RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    heading(axes, "Is the chosen future right? (hatched: controls)")
    return png(figure)


def roc(curves: Sequence[Mapping[str, Any]]) -> bytes:
    """A line a seed, and chance."""
    figure, [[axes]] = sheet(3.2)
    axes.plot([0, 1], [0, 1], "--", color=palette.BASELINE, linewidth=1, label="chance")
    for number, curve in enumerate(curves):
        label = "first draws, a line a seed" if number == 0 else None
        axes.plot(curve["false"], curve["true"], color=palette.SERIES["hybrid"], linewidth=1.2, alpha=0.7, label=label)
    axes.set_aspect("equal")
    axes.set_xlabel("right futures that are called wrong")
    axes.set_ylabel("wrong futures that are called wrong")
    axes.grid(color=palette.RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    heading(axes, "Does the pixel distance tell?")
    return png(figure)
