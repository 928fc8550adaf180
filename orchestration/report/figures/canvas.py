"""The sheet that every figure is drawn on: Agg, one type, one grid, one way to become PNG bytes (design §11)."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestration.report import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.6
"""Inches; the text width of the page, so that no figure is scaled and its type stays as set."""
DPI = 160
_STYLE: Mapping[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.edgecolor": palette.RULE,
    "axes.labelcolor": palette.MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": palette.INK,
    "xtick.color": palette.MUTED,
    "ytick.color": palette.MUTED,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
}


class FigureError(ValueError):
    """What was to be drawn cannot be: the message says which input and what it must be."""


def sheet(
    height: float, rows: int = 1, columns: int = 1, *, pad: float | None = None
) -> "tuple[Figure, list[list[Axes]]]":
    """An empty figure of the page's width. No pyplot: nothing global is left behind in a long-lived Dagster process.

    Args:
        pad: inches between panels, where they are pictures that belong together; matplotlib's own otherwise.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine()
    if pad is not None:
        layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad, wspace=0, hspace=0)
    with rc_context(dict(_STYLE)):
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout=layout, facecolor=palette.PAPER)
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def png(figure: "Figure") -> bytes:
    """The figure as PNG, without the date and the version, so that the same numbers give the same bytes."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(dict(_STYLE)):
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def heading(axes: "Axes", text: str) -> None:
    """A panel's title: left, bold, in ink. (Set here, as matplotlib reads a title's style when the title is set.)"""
    axes.set_title(text, loc="left", fontsize=8.5, fontweight="bold", color=palette.INK, pad=5)


def bare(axes: "Axes") -> None:
    """Axes of a picture: no ticks, no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
