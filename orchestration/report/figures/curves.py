"""Numbers by step and seconds by stage: the loss of a training run, and where the time of a programme went (§3.2)."""

from collections.abc import Mapping, Sequence

import numpy as np

from orchestration.report import names, palette
from orchestration.report.figures.canvas import FigureError, heading, png, sheet

History = Sequence[Mapping[str, float]]
"""One mapping a step: `step` and the numbers logged at it."""


def loss_curve(histories: Mapping[str, History], *, terms: Sequence[str] = ("loss",)) -> bytes:
    """One panel a term, one line a run: each step faint, its running mean strong, its last mean written at the end.

    Args:
        histories: run or arm -> its steps.
        terms: the numbers to draw, each of which at least one run must have logged.
    """
    figure, grid = sheet(1.95 * -(-len(terms) // 2), -(-len(terms) // 2), min(len(terms), 2))
    panels = [axes for line in grid for axes in line]
    for spare in panels[len(terms) :]:
        spare.set_visible(False)
    for axes, term in zip(panels, terms, strict=False):
        ends: list[float] = []
        for index, (label, history) in enumerate(histories.items()):
            points = [(row["step"], row[term]) for row in history if term in row and np.isfinite(row[term])]
            if not points:
                continue
            steps, values = np.array(points, float).T
            smooth, colour = _running_mean(values), palette.series(label, index)
            axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.8)
            axes.plot(steps, smooth, color=colour, linewidth=1.6, label=f"{names.words(label)}  {smooth[-1]:.3g}")
            axes.plot(steps[-1], smooth[-1], "o", color=colour, markersize=3.5)
            ends.append(smooth[-1])
            if smooth.min() > 0 and smooth.max() / smooth.min() > 20:
                axes.set_yscale("log")
        if not ends:
            raise FigureError(f"loss curve: no run logged {term!r}; runs: {', '.join(histories) or 'none'}")
        heading(axes, term.replace("_", " "))
        axes.set_xlabel("step")
        axes.grid(axis="y", color=palette.RULE, linewidth=0.6)
        axes.margins(x=0.02)
        axes.legend(frameon=False, fontsize=7.5, loc="upper right", handlelength=1.2)
    return png(figure)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Exponential mean over about a fortieth of the run, corrected for its start."""
    decay = 1 - 1 / max(1.0, len(values) / 40)
    smooth, weight, mean = np.empty_like(values), 0.0, 0.0
    for t, value in enumerate(values):
        mean, weight = decay * mean + (1 - decay) * value, decay * weight + (1 - decay)
        smooth[t] = mean / weight
    return smooth


def time_by_stage(seconds: Mapping[str, float]) -> bytes:
    """A bar a stage in the order of the programme, with its time and its part of the whole."""
    if not seconds:
        raise FigureError("time by stage: no stage has been timed")
    figure, [[axes]] = sheet(0.45 + 0.23 * len(seconds))
    stages, values = list(seconds), list(seconds.values())
    whole = sum(values) or 1.0
    axes.barh(range(len(stages)), values, height=0.62, color=palette.SERIES["dino_only"])
    axes.set_yticks(range(len(stages)), labels=[names.words(stage) for stage in stages], color=palette.INK)
    axes.invert_yaxis()
    for row, value in enumerate(values):
        axes.text(value + max(values) * 0.01, row, f"{clock(value)}  ·  {value / whole:.0%}", va="center", fontsize=7.5)
    axes.set_xlim(0, max(values) * 1.16 or 1)
    axes.set_xticks([])
    for side in ("bottom", "left"):
        axes.spines[side].set_visible(False)
    heading(axes, f"{clock(whole)} in all")
    return png(figure)


def clock(seconds: float) -> str:
    """`4 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
