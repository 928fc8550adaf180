"""FVD's bias against the number of clips, on two logarithmic axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration.report import palette
from orchestration.report.figures.canvas import FigureError, heading, png, sheet

if TYPE_CHECKING:
    from models.evaluation.fvd_bias import Bias


def fvd_bias(table: "Sequence[Bias]", enough: int, title: str) -> bytes:
    """What FVD says of two sets of one sort, true distance 0: points between clips, a line of the fitted normal."""
    if not table:
        raise FigureError("FVD's bias: the table is empty")
    figure, [[axes]] = sheet(2.6)
    model, clips = palette.SERIES["dino_only"], palette.INK
    sizes = [row.n for row in table]
    means, spreads = ([row.modelled[k] for row in table] for k in (0, 1))
    axes.plot(sizes, means, color=model, linewidth=1.4, label="draws of a normal with the clips' mean and covariance")
    low, high = ([max(m + sign * s, 1e-9) for m, s in zip(means, spreads, strict=True)] for sign in (-1, 1))
    axes.fill_between(sizes, low, high, color=model, alpha=0.2, linewidth=0)
    measured = [(row.n, *row.measured) for row in table if row.measured]
    axes.errorbar(
        *zip(*[(n, mean) for n, mean, _ in measured], strict=True),
        yerr=[spread for *_, spread in measured],
        fmt="o",
        color=clips,
        markersize=3.5,
        linewidth=1,
        label="between halves of the clips",
    )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.axvline(enough, color=palette.TARGET, linewidth=1, linestyle="--")
    axes.annotate(
        " gates from here", (enough, 0.94), xycoords=("data", "axes fraction"), fontsize=7, color=palette.TARGET
    )
    axes.set_xlabel("clips on each side")
    axes.grid(axis="y", color=palette.RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=7.5, loc="lower left")
    heading(axes, title)
    return png(figure)
