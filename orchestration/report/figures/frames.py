"""Frames side by side: the true clip, what was generated, and the ceiling that the VAE allows (design §4.13)."""

from collections.abc import Mapping

import numpy as np

from orchestration.report.figures.canvas import WIDTH, FigureError, bare, png, sheet

_LABEL = 0.95
"""Inches left of the frames for the rows' labels."""


def frame_strip(rows: Mapping[str, np.ndarray], *, most: int = 9) -> bytes:
    """One row of frames for each label, one column for each time.

    Args:
        rows: label -> uint8 [T, H, W, 3]; all of one shape, as they show the same moments.
        most: columns at most; a longer clip is shown at evenly spaced frames, first and last among them.
    """
    shapes = {label: frames.shape for label, frames in rows.items()}
    if not rows or len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 4:
        raise FigureError(f"frame strip: rows must be uint8 [T, H, W, 3] of one shape, not {shapes or 'no rows'}")
    if wrong := [label for label, frames in rows.items() if frames.dtype != np.uint8]:
        raise FigureError(f"frame strip: rows {wrong} are not uint8")
    length, height, width, _ = next(iter(shapes.values()))
    shown = np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(int))
    cell = (WIDTH - _LABEL) / len(shown) * height / width
    figure, grid = sheet(len(rows) * (cell + 0.03) + 0.22, len(rows), len(shown), pad=0.012)
    for (label, frames), line in zip(rows.items(), grid, strict=True):
        for t, axes in zip(shown, line, strict=True):
            axes.imshow(frames[t], interpolation="nearest")
            bare(axes)
            if line is grid[0]:
                axes.set_title(f"t = {t}", loc="center", fontsize=7, fontweight="normal", pad=2)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=6, fontsize=8)
    return png(figure)
