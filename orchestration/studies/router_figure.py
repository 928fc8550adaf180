"""Quality against the share of clips that the hybrid gets: by the router, by chance, and by the truth."""

from collections.abc import Mapping
from typing import Any

from orchestration.report import palette
from orchestration.report.figures.canvas import heading, png, sheet


def curve(series: Mapping[str, Any]) -> bytes:
    """A line for each way to choose the clips; the router's own choice is the star."""
    figure, [[axes]] = sheet(2.8)
    points, colour = series["curve"], palette.SERIES["hybrid"]
    share = [point["share"] for point in points]
    axes.plot(share, [point["chance"] for point in points], "--", color=palette.BASELINE, label="by chance")
    axes.plot(share, series["best"], ":", color=palette.TARGET, label="by what each clip gained")
    axes.plot(share, [point["lpips"] for point in points], "o-", color=colour, markersize=4, label="by the router")
    for point in points:
        if point["low"] is not None:
            axes.plot([point["share"]] * 2, [point["low"], point["high"]], color=colour, linewidth=1.6, alpha=0.7)
    routed = series["routed"]
    axes.plot(routed["share"], routed["lpips"], "*", color=palette.INK, markersize=11, label="what the router chooses")
    axes.set_xlabel("share of clips that the hybrid gets")
    axes.set_ylabel("LPIPS, held-out (↓ better)")
    axes.grid(color=palette.RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=7)
    heading(axes, f"Hybrid {series['gflop']['hybrid']:.3g}, VLM alone {series['gflop']['vlm_only']:.3g} GFLOP a clip")
    return png(figure)
