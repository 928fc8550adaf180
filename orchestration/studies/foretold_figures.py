"""C3 and Q5 drawn: ways to foretell side by side, and quality by steps ahead."""

from collections.abc import Mapping
from typing import Any

from orchestration.report import palette
from orchestration.report.figures.canvas import heading, png, sheet
from orchestration.studies.foretold import CAME

Found = Mapping[str, Any]
HEADS = {"latent": "Latent error (← better)", "direction": "Direction read (→ better)", "iou": "Spatial IoU (→ better)"}
CHANCE = {"latent": 1.0, "direction": 0.25}
COLOURS = {
    "both streams": palette.SERIES["hybrid"],
    "the VLM's stream": palette.SERIES["vlm_only"],
    "the spatial stream": palette.SERIES["dino_only"],
}
NULLS = {"spatial": "still frame", "semantic": "another clip's reading"}
QUALITIES = {"spatial": "Where: Spatial IoU", "semantic": "What: direction read"}


def ways(found: Mapping[str, Mapping[str, Found]]) -> bytes:
    """A line a way, a panel a measure, each with its interval."""
    measures = [name for name in HEADS if any(name in one for one in found.values())]
    figure, [panels] = sheet(0.7 + 0.24 * len(found), 1, len(measures))
    for axes, measure in zip(panels, measures, strict=True):
        if measure in CHANCE:
            axes.axvline(CHANCE[measure], color=palette.MUTED, linestyle=(0, (4, 2)), linewidth=0.8)
        for y, (way, one) in enumerate(found.items()):
            value, colour = one.get(measure), COLOURS.get(way, palette.BASELINE)
            if value is None or value["value"] is None:
                continue
            if value["low"] is not None:
                axes.plot([value["low"], value["high"]], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot(value["value"], y, "o", color=colour, markersize=4.5)
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_yticks([])
        axes.grid(axis="x", color=palette.RULE, linewidth=0.6)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.08)
        heading(axes, HEADS[measure])
    panels[0].set_yticks(range(len(found)), list(found))
    panels[0].tick_params(axis="y", labelcolor=palette.INK, labelsize=7)
    return png(figure)


def horizon(contexts: Mapping[str, Found]) -> bytes:
    """A row a context, a panel a quality: predicted, its null and what came by step; the usable ones at the foot."""
    figure, rows = sheet(0.4 + 2.0 * len(contexts), len(contexts), len(QUALITIES))
    for panels, (context, found) in zip(rows, contexts.items(), strict=True):
        steps = range(1, int(found["ahead"]) + 1)
        for axes, (quality, title) in zip(panels, QUALITIES.items(), strict=True):
            heading(axes, f"{title}, {context} frames known")
            axes.set_xticks(list(steps))
            axes.set_ylim(0, 1)
            axes.set_xlim(0.6, len(steps) + 0.4)
            axes.grid(axis="y", color=palette.RULE, linewidth=0.6)
            axes.set_xlabel("steps ahead")
            if f"{quality}_1" not in found:
                continue
            for prefix, label, colour in (
                (quality, "predicted", palette.SERIES["hybrid"]),
                (f"{quality}_null", NULLS[quality], palette.BASELINE),
                (f"{quality}_came", CAME, palette.INK),
            ):
                curve = [found[f"{prefix}_{k}"] for k in steps]
                low, high = ([one[end] for one in curve] for end in ("low", "high"))
                axes.errorbar(
                    list(steps), [one["value"] for one in curve], color=colour, marker="o", markersize=4, label=label,
                    yerr=[[one["value"] - end for one, end in zip(curve, low)],
                          [end - one["value"] for one, end in zip(curve, high)]], capsize=2,
                )  # fmt: skip
            limit = found[f"{quality}_limit"]["value"]
            if limit:
                axes.plot([0.6, limit + 0.4], [0.02, 0.02], color=palette.TARGET, linewidth=3, solid_capstyle="butt")
            axes.legend(frameon=False, fontsize=6.5)
    return png(figure)
