"""Q3 drawn: flicker against motion by arm, flicker by frame, and what the spatial stream adds by a clip's motion."""

from collections.abc import Mapping
from typing import Any

from orchestration.report import palette
from orchestration.report.figures.canvas import heading, png, sheet

COLOURS = {
    "hybrid": palette.SERIES["hybrid"],
    "without_spatial": palette.OTHERS[3],
    "vlm_only": palette.SERIES["vlm_only"],
    "uninjected": palette.OTHERS[4],
    "vae_roundtrip": palette.SERIES["vae_roundtrip"],
    "true": palette.SERIES["true"],
}
DASHED = ("vae_roundtrip", "true")


def figures(series: Mapping[str, Any]) -> dict[str, bytes]:
    """By name; what was not measured is not drawn."""
    drawn = {}
    if series["arms"]:
        drawn = {"flicker_and_motion": flicker_and_motion(series["arms"]), "by_frame": by_frame(series["arms"])}
    return drawn | ({"interaction": interaction(series["interaction"])} if "interaction" in series else {})


def flicker_and_motion(arms: Mapping[str, Any]) -> bytes:
    """A point an arm, with its intervals both ways."""
    figure, [[axes]] = sheet(3.0)
    for name, arm in arms.items():
        x, y = arm["motion"], arm["flicker"]
        if x["value"] is None or y["value"] is None:
            continue
        for end, other in ((x, y), (y, x)):
            if end["low"] is not None:
                line = [end["low"], end["high"]], [other["value"]] * 2
                axes.plot(*(line if end is x else line[::-1]), color=COLOURS[name], linewidth=1.4, alpha=0.6)
        marker = "s" if name in DASHED else "o"
        axes.plot(x["value"], y["value"], marker, color=COLOURS[name], label=arm["says"], clip_on=False)
    axes.set_xlabel("motion of all other places, levels of 255 (→ more)")
    axes.set_ylabel("flicker of still places, levels (↓ steadier)")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(color=palette.RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    heading(axes, "Flicker beside motion, held-out clips")
    return png(figure)


def by_frame(arms: Mapping[str, Any]) -> bytes:
    """A line an arm."""
    figure, [[axes]] = sheet(2.8)
    steps = 0
    for name, arm in arms.items():
        values = [float("nan") if value is None else value for value in arm["by_step"]]
        steps = max(steps, len(values))
        style = "--" if name in DASHED else "-"
        told = {"color": COLOURS[name], "label": arm["says"], "linewidth": 1.4}
        axes.plot(range(2, len(values) + 2), values, style, clip_on=False, **told)  # the true clip's line lies at 0
    axes.set_xticks(range(2, steps + 2))
    axes.set_xlabel("frame, against the one before")
    axes.set_ylabel("flicker of still places, levels")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=palette.RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    heading(axes, "Flicker from frame to frame")
    return png(figure)


def interaction(found: Mapping[str, Any]) -> bytes:
    """A dot a clip, and the line through them."""
    figure, [[axes]] = sheet(2.8)
    motion, added, slope = found["motion"], found["added"], found["slope"]
    axes.axhline(0, color=palette.MUTED, linewidth=0.8)
    axes.plot(motion, added, "o", color=palette.SERIES["hybrid"], markersize=3, alpha=0.6)
    if slope["value"] is not None:
        centre, height = sum(motion) / len(motion), sum(added) / len(added)
        deviation = (sum((one - centre) ** 2 for one in motion) / len(motion)) ** 0.5
        ends = [min(motion), max(motion)]
        line = [height + slope["value"] * (end - centre) / deviation for end in ends]
        axes.plot(ends, line, color=palette.INK, linewidth=1.2)
    axes.set_xlabel("dynamic degree of the true clip")
    axes.set_ylabel("flicker with, less without, levels")
    axes.grid(color=palette.RULE, linewidth=0.6)
    heading(axes, "What the spatial stream adds to flicker, by how much the clip moves")
    return png(figure)
