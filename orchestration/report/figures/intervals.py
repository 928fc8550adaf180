"""Values with their 95 % intervals: criteria against their lines, and arms beside baselines (design §6, §7)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from orchestration.report import names, palette
from orchestration.report.figures.canvas import FigureError, bare, heading, png, sheet
from orchestration.report.scale import Row, places

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Measured(Protocol):
    """A metric's value and interval, as the evaluation document holds it."""

    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def criterion_intervals(criteria: Sequence[Row], title: str = "") -> bytes:
    """A line a criterion, each on its own scale: both zones shaded, the interval, the value, the outcome."""
    if not criteria:
        raise FigureError("criterion intervals: the decision has no criteria")
    figure, [[axes]] = sheet(0.55 + 0.42 * len(criteria))
    axes.set_xlim(-0.42, 1.3)
    axes.set_ylim(len(criteria) - 0.4, -0.75)
    bare(axes)
    for y, row in enumerate(criteria):
        _criterion(axes, y, row)
    heading(axes, title or "Value and 95 % interval against target (green) and failure line (red)")
    return png(figure)


def _criterion(axes: "Axes", y: int, row: Row) -> None:
    at, name, mark = places(row), names.metric(row.metric), palette.mark(row.outcome)
    axes.plot([0, 1], [y, y], color=palette.RULE, linewidth=5, solid_capstyle="butt")
    for zone, line, number, colour in (
        (at.good, at.target, row.target, palette.TARGET),
        (at.bad, at.failure, row.failure, palette.FAILURE),
    ):
        if zone is None or line is None:
            continue
        axes.plot(zone, [y, y], color=colour, alpha=0.28, linewidth=5, solid_capstyle="butt")
        axes.plot([line, line], [y - 0.17, y + 0.17], color=colour, linewidth=1.2)
        axes.text(line, y - 0.2, name.show(number), ha="center", va="bottom", fontsize=6.5, color=colour)
    if at.low is not None and at.high is not None:
        axes.plot([at.low, at.high], [y, y], color=palette.INK, linewidth=1.8, solid_capstyle="butt")
    if at.value is not None:
        axes.plot(at.value, y, "o", color=palette.INK, markersize=5, markeredgecolor="white", markeredgewidth=0.8)
    axes.text(-0.03, y, name.words, ha="right", va="center", fontsize=8)
    axes.text(1.03, y, name.show(row.value), ha="left", va="center", fontsize=8, fontweight="bold")
    axes.text(1.3, y, f"{mark.glyph} {mark.word}", ha="right", va="center", fontsize=6.5, color=mark.colour)


def arm_comparison(groups: Mapping[str, Mapping[str, Measured]], metrics: Sequence[str]) -> bytes:
    """Small multiples, a panel a metric: arms in their colours, baselines in grey below them, on one scale.

    Args:
        groups: arm or baseline -> metric -> measured; drawn in this order.
        metrics: the panels. A group without a metric leaves its line empty.
    """
    if not metrics or not groups:
        raise FigureError(
            f"arm comparison: {len(groups)} groups and {len(metrics)} metrics; at least one of each is needed"
        )
    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    figure, grid = sheet(rows * (0.5 + 0.19 * len(groups)), rows, columns)
    panels = [axes for line in grid for axes in line]
    for spare in panels[len(metrics) :]:
        spare.set_visible(False)
    for index, (axes, key) in enumerate(zip(panels, metrics, strict=False)):
        name = names.metric(key)
        for y, (group, measured) in enumerate(groups.items()):
            if key in measured:
                _measured(axes, y, measured[key], group)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_yticks(range(len(groups)), labels=[names.words(g) for g in groups] if index % columns == 0 else [])
        axes.tick_params(axis="y", labelcolor=palette.INK)
        axes.grid(axis="x", color=palette.RULE, linewidth=0.6)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.12)
        axes.locator_params(axis="x", nbins=4)
        heading(axes, f"{name.words}  {'→' if name.higher_is_better else '←'} better")
    return png(figure)


def _measured(axes: "Axes", y: int, measured: Measured, group: str) -> None:
    if measured.value is None:
        return
    arm = group in names.ARMS
    colour = palette.series(group) if arm else palette.BASELINE
    if measured.low is not None and measured.high is not None:
        axes.plot([measured.low, measured.high], [y, y], color=colour, linewidth=1.8, alpha=0.8)
    axes.plot(measured.value, y, "o" if arm else "D", color=colour, markersize=5 if arm else 4)
