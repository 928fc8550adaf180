"""Do the streams' losses pull the fusion in one direction (§4.1)? Their gradients' cosine by step, and the gates."""

import re
from collections.abc import Mapping

from orchestration.report import names, palette
from orchestration.report.figures.canvas import FigureError, heading, png, sheet
from orchestration.report.figures.curves import History

COSINE = "gradient_cosine"
_GATE = re.compile(r"gate/(spatial|semantic)/(\d+)")


def interference_curve(histories: Mapping[str, History], gates_of: str) -> bytes:
    """Left, the cosine of every run, shaded where the losses pull against each other; right, the gates of one run.

    Args:
        histories: run or arm -> its steps; those without a cosine are left out.
        gates_of: the run whose gates are drawn, a line a layer and stream.

    Raises:
        FigureError: no run logged a cosine.
    """
    found = {label: [row for row in history if COSINE in row] for label, history in histories.items()}
    found = {label: rows for label, rows in found.items() if rows}
    if not found:
        raise FigureError(f"interference: no run logged {COSINE!r}; runs: {', '.join(histories) or 'none'}")
    figure, [[left, right]] = sheet(2.1, 1, 2)
    for index, (label, rows) in enumerate(found.items()):
        steps, values = zip(*((row["step"], row[COSINE]) for row in rows), strict=True)
        said = f"{names.words(label)}  {values[-1]:+.2f}"
        left.plot(steps, values, "o-", color=palette.series(label, index), linewidth=1.4, markersize=3, label=said)
    most = max(0.1, 1.25 * max(abs(row[COSINE]) for rows in found.values() for row in rows))
    left.set_ylim(-most, most)
    left.axhspan(-most, 0, color=palette.FAILURE, alpha=0.07, linewidth=0)
    left.axhline(0, color=palette.MUTED, linewidth=0.8)
    left.text(0.99, 0.03, "the losses pull against each other", transform=left.transAxes, ha="right", fontsize=7,
              color=palette.FAILURE)  # fmt: skip
    heading(left, "Cosine of the streams' gradients")
    for row in [row for row in histories.get(gates_of, []) if any(_GATE.fullmatch(name) for name in row)][:1]:
        for name in filter(_GATE.fullmatch, row):
            stream, layer = _GATE.fullmatch(name).groups()  # type: ignore[union-attr]
            points = [(one["step"], one[name]) for one in histories[gates_of] if name in one]
            colour = palette.SERIES["dino_only" if stream == "spatial" else "vlm_only"]
            style = ("-", "--", ":", "-.")[int(layer) % 4]
            right.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.4,
                       label=f"{stream}, layer {int(layer) + 1}  {points[-1][1]:.3f}")  # fmt: skip
    heading(right, f"Gates of {names.words(gates_of)}")
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.grid(axis="y", color=palette.RULE, linewidth=0.6)
        axes.margins(x=0.03)
    left.legend(frameon=False, fontsize=7, loc="upper right", handlelength=1.2)
    if right.get_legend_handles_labels()[0]:
        low, high = right.get_ylim()
        right.set_ylim(low - max(0.05, high - low), high + 0.01)  # room for the legend, and no drama of a small move
        right.legend(frameon=False, fontsize=7, loc="lower right", handlelength=1.8)
    return png(figure)
