"""The one figure of a GPU benchmark, as PNG bytes: time and memory of each component and phase, beside the promises."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.bench.figures import INFERENCE_GB, P50_FIRST, P50_THEN, TRAINING_GB, CallFigure, PhaseFigure

INK, TIME, MEMORY, LINE = "#1d232b", "#2a6fb0", "#c2640f", "#00694f"
PROPOSED_S = {"Qwen2.5-VL encoding": 0.4, "DINOv2 encoding": 0.15, "fusion": 0.05, "LTX generation": 0.8}
"""Appendix D.1's seconds."""


def draw(told: str, gpu: str | None, calls: Sequence[CallFigure], phases: Sequence[PhaseFigure]) -> bytes:
    """Four panels: seconds and memory of inference, seconds a step and memory of training."""
    figure = Figure(figsize=(9.5, 5.2), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    (time, memory), (step, held) = figure.subplots(2, 2)
    called, trained = [call.name for call in calls], [phase.name for phase in phases]
    _bars(time, called, [call.p50_s for call in calls], "seconds of a call: p50, and a line to p95", TIME)
    for y, call in enumerate(calls):
        time.plot([call.p50_s, call.p95_s], [y, y], color=INK, linewidth=1)
        if call.name in PROPOSED_S:
            time.plot(PROPOSED_S[call.name], y, "D", color=LINE, markersize=3.5)
    _lines(time, (P50_FIRST, P50_THEN))
    loaded = [call.reserved_gb or call.peak_gb for call in calls]
    _bars(memory, called, loaded, "GB with all loaded: reserved, or resident without a GPU", MEMORY)
    _lines(memory, (INFERENCE_GB,))
    _bars(step, trained, [phase.s_per_step for phase in phases], "seconds a training step", TIME)
    _bars(held, trained, [phase.reserved_gb or 0 for phase in phases], "GB reserved in training (GPU only)", MEMORY)
    _lines(held, (TRAINING_GB,))
    title = f"{gpu or 'no GPU'}: {told}\ngreen: the goals, and Appendix D.1's estimates as diamonds"
    figure.suptitle(title, fontsize=8, color=INK, x=0.01, ha="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], title: str, colour: str) -> None:
    axes.barh(range(len(names)), values, color=colour, height=0.6)
    axes.set_yticks(range(len(names)), labels=list(names))
    axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    axes.set_title(title, loc="left", fontsize=8, color=INK)
    axes.spines[["top", "right"]].set_visible(False)


def _lines(axes: Axes, goals: Sequence[float]) -> None:
    for goal in goals:
        axes.axvline(goal, color=LINE, linewidth=1)
