"""Where a prediction and what came differ: the predicted frames, those that came, and the map over them (§1.5)."""

import numpy as np

from orchestration.report.figures.canvas import WIDTH, FigureError, bare, png, sheet

_LABEL = 0.95
"""Inches left of the frames for the rows' labels."""
ROWS = ("predicted", "what came", "difference")


def difference_map(predicted: np.ndarray, outcome: np.ndarray, heat: np.ndarray, first: int, unit: str) -> bytes:
    """One column for each predicted frame.

    Args:
        predicted: uint8 [F, H, W, 3].
        outcome: the frames that came, likewise.
        heat: float [F, rows, columns], 0 where equal; one scale for all frames.
        first: the number of the first predicted frame in the clip.
        unit: what the map measures.
    """
    if predicted.shape != outcome.shape or heat.ndim != 3 or len(heat) != len(predicted):
        raise FigureError(f"difference map: frames {predicted.shape}, {outcome.shape} and map {heat.shape} do not fit")
    count, height, width, _ = predicted.shape
    columns = max(count, 4)
    cell = (WIDTH - _LABEL) / columns * height / width
    figure, grid = sheet(3 * (cell + 0.03) + 0.6, 3, columns, pad=0.012)
    top, drawn = float(heat.max()) or 1.0, None
    for row, (label, line) in enumerate(zip(ROWS, grid, strict=True)):
        for column, axes in enumerate(line):
            bare(axes)
            if column >= count:
                axes.set_visible(False)
                continue
            if row < 2:
                axes.imshow((predicted, outcome)[row][column], interpolation="nearest")
            else:
                axes.imshow(outcome[column].mean(-1), cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0))
                shown = {"extent": (0, 1, 1, 0), "cmap": "magma", "vmin": 0, "vmax": top, "alpha": 0.65}
                drawn = axes.imshow(heat[column], interpolation="nearest", **shown)
            if row == 0:
                axes.set_title(f"t = {first + column}", loc="center", fontsize=7, fontweight="normal", pad=2)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=6, fontsize=8)
    assert drawn is not None
    shown = [axes for line in grid for axes in line]
    bar = figure.colorbar(drawn, ax=shown, location="bottom", aspect=50, fraction=0.05, pad=0.02, shrink=0.6)
    bar.set_label(unit, fontsize=7)
    bar.ax.tick_params(length=0, labelsize=7)
    return png(figure)
