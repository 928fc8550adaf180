"""The figure of `foresight bench scale`, as PNG bytes: how the cost of each operation grows, beside the goal."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from orchestration.bench.scale import GOAL, Growth

INK, MET, MISSED, MEMORY, LINE = "#1d232b", "#2a6fb0", "#b3261e", "#c2640f", "#00694f"


def draw(told: str, growths: Sequence[Growth]) -> bytes:
    """Two panels: the ratio of each operation's cost with a line at the goal, and the ratio of its peak memory."""
    figure = Figure(figsize=(9.5, 4.6), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    time, memory = figure.subplots(1, 2, sharey=True)
    few, many = min(growths[0].readings), max(growths[0].readings)
    colours = [MET if one.met else MISSED for one in growths]
    _bars(time, growths, [one.ratio for one in growths], colours, f"time at {many:,} clips over that at {few:,}")
    time.axvline(GOAL, color=LINE, linewidth=1)
    _bars(memory, growths, [one.memory_ratio for one in growths], [MEMORY] * len(growths), "peak memory, likewise")
    figure.suptitle(told, fontsize=8, color=INK, x=0.01, ha="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _bars(axes: Axes, growths: Sequence[Growth], ratios: Sequence[float], colours: Sequence[str], title: str) -> None:
    names = [f"{one.name}{' (whole)' if one.constant else ''}" for one in growths]
    axes.barh(range(len(names)), ratios, color=colours, height=0.55)
    axes.set_yticks(range(len(names)), names)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    axes.set_title(title, loc="left", fontsize=8, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
