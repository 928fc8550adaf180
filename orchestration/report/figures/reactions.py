"""What each metric sees of each disturbance, as a table of colours with the values written in."""

from typing import TYPE_CHECKING

import numpy as np

from orchestration.report import names, palette
from orchestration.report.figures.canvas import FigureError, heading, png, sheet

if TYPE_CHECKING:
    from models.evaluation.reactions import Table


def reaction_table(table: "Table", title: str) -> bytes:
    """A row a metric, a column a disturbance, the first one untouched.

    Blue: worse on every clip. White: blind. Orange: better than untouched, so the metric is deceived. Grey: a metric of
    the whole set, which has no count of clips.
    """
    if not table:
        raise FigureError("reactions: the table is empty")
    from matplotlib.colors import LinearSegmentedColormap

    columns = list(table)
    rows = list(dict.fromkeys(metric for reactions in table.values() for metric in reactions))
    deceived, sees = palette.SERIES["vlm_only"], palette.SERIES["dino_only"]
    colours = LinearSegmentedColormap.from_list("sees", [deceived, palette.PAPER, sees])
    colours.set_bad(palette.RULE)
    balance = np.full((len(rows), len(columns)), np.nan)
    figure, [[axes]] = sheet(0.9 + 0.34 * len(rows))
    for x, column in enumerate(columns):
        for y, metric in enumerate(rows):
            reaction = table[column].get(metric)
            if reaction is None:
                continue
            balance[y, x] = np.nan if reaction.balance is None else reaction.balance
            strong = abs(np.nan_to_num(balance[y, x])) > 0.6
            text = "-" if reaction.metric.value is None else f"{reaction.metric.value:.3g}"
            axes.text(x, y, text, ha="center", va="center", fontsize=7, color=palette.PAPER if strong else palette.INK)
    shown = axes.imshow(balance, cmap=colours, vmin=-1, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, fontsize=7)
    axes.set_yticks(range(len(rows)), [names.metric(metric).words for metric in rows], fontsize=7)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(shown, ax=axes, location="bottom", aspect=60, fraction=0.05, pad=0.04)
    bar.set_ticks([-1, 0, 1], labels=["takes it for better", "blind", "sees it on every clip"])
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(length=0, labelsize=7)
    heading(axes, title)
    return png(figure)
