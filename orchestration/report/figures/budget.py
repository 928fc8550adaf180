"""The budget at a glance: GPU-hours and gigabytes against their caps, and what was foreseen beside what it took (§D.2,
§3.1).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestration.report import palette
from orchestration.report.figures.canvas import heading, png, sheet
from orchestration.report.figures.curves import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes

USED, RESERVED = palette.SERIES["dino_only"], palette.SERIES["vlm_only"]
SHOWN_RUNS = 8
_BAR = 0.5


def budget_figure(found: Mapping[str, Any]) -> bytes:
    """Draw a `foresight.budget/1` document; storage only where it holds any, forecasts only of runs that had one."""
    runs = [one for one in found["reservations"] if one["foreseen"]][-SHOWN_RUNS:]
    panels = [(_hours, found["phases"])]
    if "storage" in found:
        panels.append((partial(_storage, clips=found["storage"]["projected_clips"]), found["storage"]["phases"]))
    if runs:
        panels.append((_forecasts, runs))
    figure, grid = sheet(sum(0.74 + 0.24 * len(rows) for _, rows in panels), len(panels))
    for [axes], (draw, rows) in zip(grid, panels, strict=True):
        draw(axes, rows)
        axes.set_ylim(len(rows) - 0.45, -0.75)
        axes.tick_params(axis="y", labelcolor=palette.INK)
        axes.spines["left"].set_visible(False)
    return png(figure)


def _hours(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    heading(axes, f"GPU-hours against the caps of §{rows[0]['section']}: used (blue), reserved (orange)")
    widest = max(row["cap_gpu_hours"] for row in rows)
    for y, row in enumerate(rows):
        used, reserved = row["used_gpu_hours"], row["reserved_gpu_hours"]
        cpu = f"; {clock(row['cpu_hours'] * 3600)} on CPU" if row["cpu_hours"] else ""
        said = f"{used:.4g} h used, {row['left_gpu_hours']:.4g} left of {row['cap_gpu_hours']:g}{cpu}"
        _bars(axes, y, row["cap_gpu_hours"], [(used, USED), (reserved, RESERVED)])
        axes.text(row["cap_gpu_hours"] + widest * 0.02, y, said, va="center", fontsize=7.5)
    axes.set_xlim(0, widest * 1.6)
    _phases(axes, rows)


def _storage(axes: "Axes", rows: Sequence[Mapping[str, Any]], clips: int) -> None:
    heading(axes, f"Gigabytes against the caps of §{rows[0]['section']}: stored (blue), {clips:,} clips (diamond)")
    widest = max(max(row["cap_gb"], row["projected_gb"] or 0) for row in rows)
    for y, row in enumerate(rows):
        _bars(axes, y, row["cap_gb"], [(row["used_gb"], USED)])
        projected = row["projected_gb"]
        said = f"{row['used_gb']:.3g} GB of {row['cap_gb']:g}"
        if projected is not None:
            colour = palette.TARGET if row["verdict"] == "within" else palette.FAILURE
            axes.plot(projected, y, "D", color=colour, markersize=4.5, markeredgecolor="white", markeredgewidth=0.6)
            said += f"; {clips:,} clips: {projected:.3g} GB, {row['verdict']}"
        axes.text(max(row["cap_gb"], projected or 0) + widest * 0.02, y, said, va="center", fontsize=7.5)
    axes.set_xlim(0, widest * 1.6)
    _phases(axes, rows)


def _forecasts(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """Each run on its own scale, 1 being what it took; while it goes on, 1 is what is foreseen now."""
    heading(axes, "Foreseen over true: first forecast with its 95 % interval, and each later one (small)")
    axes.axvline(1, color=palette.INK, linewidth=1)
    ends = [1.0]
    for y, one in enumerate(rows):
        truth = one["wall_hours"] if one["ended"] == "done" else one["foreseen"][-1]["hours"]
        first, *later = one["foreseen"]
        axes.plot([first["low"] / truth, first["high"] / truth], [y, y], color=USED, linewidth=1.8)
        axes.plot(first["hours"] / truth, y, "o", color=USED, markersize=5)
        axes.plot(
            [seen["hours"] / truth for seen in later], [y] * len(later), "o", color=USED, markersize=2.2, alpha=0.6
        )
        ends += [first["low"] / truth, first["high"] / truth]
        took = clock(truth * 3600)
        error = one["forecast_error"]
        said = f"took {took}, {error:+.0%}" if error is not None else f"{one['ended'] or 'goes on'}, {took} foreseen"
        axes.text(1.0, y, said, va="center", ha="left", fontsize=7.5, transform=axes.get_yaxis_transform())
    low, high = max(0.0, min(ends)), min(3.0, max(ends))
    axes.set_xlim(low - 0.05, high + 0.05)
    axes.set_xticks([1], labels=["true"])
    axes.set_yticks(range(len(rows)), labels=["/".join(one["key"].split("/")[:2]) for one in rows])


def _bars(axes: "Axes", y: int, cap: float, parts: Sequence[tuple[float, str]]) -> None:
    axes.barh(y, cap, height=_BAR, color=palette.RULE)
    start = 0.0
    for size, colour in parts:
        axes.barh(y, size, left=start, height=_BAR, color=colour)
        start += size
    axes.plot([cap, cap], [y - 0.36, y + 0.36], color=palette.INK, linewidth=1.2)


def _phases(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    axes.set_yticks(range(len(rows)), labels=[f"Phase {row['phase']}" for row in rows])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
