"""The one figure of a GPU benchmark, as PNG bytes: time and memory of each component and phase, beside the promises."""

import io
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.bench.figures import (
    INFERENCE_GB,
    P50_FIRST,
    P50_THEN,
    PROPOSED,
    TRAINING_GB,
    WHOLE,
    CallFigure,
    PhaseFigure,
)

INK, TIME, MEMORY, LINE = "#1d232b", "#2a6fb0", "#c2640f", "#00694f"


def draw(
    told: str, gpu: str | None, calls: Sequence[CallFigure], phases: Sequence[PhaseFigure], *, judged: bool
) -> bytes:
    """Four panels: seconds and memory of inference, seconds a step and memory of training.

    Goals and Appendix D.1's estimates are drawn where the run was `judged` by them.
    """
    figure = Figure(figsize=(9.5, 5.2), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    (time, memory), (step, held) = figure.subplots(2, 2)
    called, trained = [call.name for call in calls], [phase.name for phase in phases]
    _bars(time, called, [call.p50_s for call in calls], "seconds of a call: p50, and a line to p95", TIME)
    _reach(time, {y: (call.p50_s, call.p95_s) for y, call in enumerate(calls)})
    own = [call.peak_gb if call.own_gb is None else call.own_gb for call in calls]
    title = "GB of its own, and a line to all reserved" if gpu else "GB resident, all of it together"
    _bars(memory, called, own, title, MEMORY)
    reserved = {y: call.reserved_gb for y, call in enumerate(calls) if call.name in WHOLE}
    _reach(memory, {y: (own[y], gb) for y, gb in reserved.items() if gb is not None})
    _bars(step, trained, [phase.s_per_step for phase in phases], "seconds a training step", TIME)
    _bars(held, trained, [phase.reserved_gb or 0 for phase in phases], "GB reserved in training (GPU only)", MEMORY)
    promises = ""
    if judged:
        promises = "\ngreen: the goals, and Appendix D.1's estimates as diamonds"
        _goals(time, (P50_FIRST, P50_THEN), {y: PROPOSED[name][0] for y, name in enumerate(called) if name in PROPOSED})
        _goals(memory, (INFERENCE_GB,), {y: PROPOSED[name][1] for y, name in enumerate(called) if name in PROPOSED})
        _goals(held, (TRAINING_GB,), {})
    figure.suptitle(f"{gpu or 'no GPU'}: {told}{promises}", fontsize=8, color=INK, x=0.01, ha="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], title: str, colour: str) -> None:
    axes.barh(range(len(names)), values, color=colour, height=0.55)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    axes.set_title(title, loc="left", fontsize=8, color=INK)
    axes.spines[["top", "right"]].set_visible(False)


def _reach(axes: Axes, lines: Mapping[int, tuple[float, float]]) -> None:
    for y, ends in lines.items():
        axes.plot(ends, [y, y], color=INK, linewidth=1)


def _goals(axes: Axes, goals: Sequence[float], estimates: Mapping[int, float]) -> None:
    for goal in goals:
        axes.axvline(goal, color=LINE, linewidth=1)
    axes.plot(list(estimates.values()), list(estimates), "D", color=LINE, markersize=3.5)
