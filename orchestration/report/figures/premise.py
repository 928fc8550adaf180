"""Q2 and Q1 measured again, beside what Gate 1 reported (design §4.10)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration.experiments.declaration import PremiseDeclaration
from orchestration.experiments.documents import Alignment, Null, PremiseDocument
from orchestration.experiments.words import NAMES
from orchestration.report import palette
from orchestration.report.figures.canvas import FigureError, heading, png, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"dinov2": palette.SERIES["dino_only"], "mobile_sam": palette.SERIES["hybrid"]}
_FORMS = {"biased": "CKA, biased form", "unbiased": "CKA, unbiased"}
_DASHED = (0, (4, 2))


def localisation(declaration: PremiseDeclaration, measured: PremiseDocument) -> bytes:
    """A line a representation: Bounding Box IoU with the two lines of the rule, and mAP@0.5 beside."""
    if not measured.localisation:
        raise FigureError("premise: no representation was read")
    figure, [panels] = sheet(0.8 + 0.31 * len(measured.localisation), 1, 2)
    said, rule = declaration.proposal, declaration.rule.lacks_place
    titles = ("bbox_iou", "Bounding Box IoU", said.bbox_iou.value), ("map50", "mAP@0.5", said.map50.value)
    for axes, (metric, title, reported) in zip(panels, titles, strict=True):
        axes.axvline(reported, color=palette.MUTED, linestyle=_DASHED, linewidth=1)
        axes.set_ylim(len(measured.localisation) - 0.5, -0.95)
        axes.set_xlim(-0.03, 1)
        axes.grid(axis="x", color=palette.RULE, linewidth=0.6)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        heading(axes, f"{title}  (dashed: Q2's {reported:g})")
        _readings(axes, measured, metric)
    for line, colour, words in (
        (rule.holds_below, palette.FAILURE, "failure"),
        (rule.fails_above, palette.TARGET, "target"),
    ):
        panels[0].axvline(line, color=colour, linewidth=1, zorder=1)
        panels[0].text(line + 0.01, -0.72, f"§{rule.section} {words}", fontsize=6.5, color=colour, va="center")
    labels = [
        f"{NAMES[name]}{' (stand-in)' if reading.standin else ''}" for name, reading in measured.localisation.items()
    ]
    panels[0].set_yticks(range(len(labels)), [label.replace(", ", ",\n") for label in labels])
    panels[0].tick_params(axis="y", labelcolor=palette.INK, labelsize=7.5)
    return png(figure)


def _readings(axes: "Axes", measured: PremiseDocument, metric: str) -> None:
    for y, (name, reading) in enumerate(measured.localisation.items()):
        value = getattr(reading, metric)
        if value.value is None:
            continue
        colour = _COLOURS.get(name, palette.SERIES["vlm_only"])
        if value.low is not None and value.high is not None:
            axes.plot([value.low, value.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(value.value, y, "o", color=colour, markersize=5.5)
        paper = {"facecolor": palette.PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
        axes.annotate(
            f"{value.value:.3f}", (value.value, y), (0, 8), textcoords="offset points",
            ha="center", va="center", fontsize=7, bbox=paper,
        )  # fmt: skip


def alignment(declaration: PremiseDeclaration, measured: PremiseDocument) -> bytes:
    """A panel a form of CKA: its value by the number of clips, what permuted clips and what Gaussians give."""
    if not measured.alignment:
        raise FigureError("premise: no CKA was measured")
    figure, [panels] = sheet(2.7, 1, 2)
    reported, plan = declaration.proposal.cka.value, declaration.alignment.widths
    proposed = (plan.vlm, plan.latents)
    for axes, form in zip(panels, ("biased", "unbiased"), strict=True):
        rows = measured.at(form)
        _null(axes, rows, [row.gaussian_proposed for row in rows], palette.FAILURE, _gaussians(proposed))
        if measured.dims != proposed:
            _null(axes, rows, [row.gaussian for row in rows], palette.OTHERS[4], _gaussians(measured.dims))
        _null(axes, rows, [row.permuted for row in rows], palette.BASELINE, "the clips permuted")
        _values(axes, rows)
        axes.axhline(reported, color=palette.MUTED, linestyle=_DASHED, linewidth=1)
        where = rows[-1].n, reported + 0.015
        axes.text(*where, f"Q1 reported {reported:g}", fontsize=7, color=palette.MUTED, va="bottom", ha="right")
        axes.set_xscale("log", base=2)
        axes.set_xticks([row.n for row in rows], [str(row.n) for row in rows])
        axes.minorticks_off()
        axes.margins(x=0.12)
        axes.set_ylim(-0.1, 1.03)
        axes.set_xlabel("clips")
        axes.grid(axis="y", color=palette.RULE, linewidth=0.6)
        heading(axes, _FORMS[form])
    panels[1].legend(frameon=False, fontsize=7, loc="upper right", handlelength=1.6, bbox_to_anchor=(1, 0.64))
    return png(figure)


def _gaussians(widths: Sequence[int]) -> str:
    return f"independent Gaussians, {widths[0]} and {widths[1]} wide"


def _values(axes: "Axes", rows: list[Alignment]) -> None:
    drawn = [(row.n, row.cka) for row in rows if row.cka.value is not None]
    colour = palette.SERIES["vlm_only"]
    n, values = [count for count, _ in drawn], [float(cka.value or 0) for _, cka in drawn]
    axes.plot(n, values, "o-", color=colour, markersize=4.5, linewidth=1.5, label="measured")
    for count, cka in drawn:
        if cka.low is not None and cka.high is not None:
            axes.plot([count, count], [cka.low, cka.high], color=colour, linewidth=1.8)


def _null(axes: "Axes", rows: list[Alignment], nulls: list[Null], colour: str, label: str) -> None:
    """The mean of a null, and where 95% of its draws lie."""
    drawn = [(row.n, null) for row, null in zip(rows, nulls, strict=True) if null.mean is not None]
    n = [count for count, _ in drawn]
    means, low, high = ([float(getattr(null, part)) for _, null in drawn] for part in ("mean", "low", "high"))
    axes.plot(n, means, "s--", color=colour, markersize=3.5, linewidth=1, label=label)
    axes.fill_between(n, low, high, color=colour, alpha=0.22, linewidth=0)
