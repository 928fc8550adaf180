"""What an encoder tells apart: its tokens' first three principal components as colours over the frame (§A.1)."""

from collections.abc import Mapping

import numpy as np

from orchestration.report.figures.canvas import WIDTH, FigureError, bare, png, sheet

_LABEL = 1.15


def principal_maps(frames: np.ndarray, encoders: Mapping[str, tuple[np.ndarray, float]]) -> bytes:
    """The frames above, and one row an encoder. Colours mean the same along a row, not from row to row.

    Args:
        frames: uint8 [T', H, W, 3], the frame of each latent frame.
        encoders: label -> colours, float [T, rows, columns, 3] in 0..1, and the part of the tokens' variance in them.
    """
    if frames.ndim != 4 or not encoders or any(colours.ndim != 4 for colours, _ in encoders.values()):
        raise FigureError(f"PCA maps: frames {frames.shape} or an encoder's colours are not [T,rows,columns,3]")
    count, height, width, _ = frames.shape
    columns = max(count, *(len(colours) for colours, _ in encoders.values()))
    cell = (WIDTH - _LABEL) / columns * height / width
    figure, grid = sheet((1 + len(encoders)) * (cell + 0.03) + 0.1, 1 + len(encoders), columns, pad=0.012)
    rows = {"frames": frames}
    rows |= {f"{label}\n{part:.0%} of variance": colours for label, (colours, part) in encoders.items()}
    for (label, pictures), line in zip(rows.items(), grid, strict=True):
        for step, axes in enumerate(line):
            bare(axes)
            if step < len(pictures):
                axes.imshow(pictures[step], interpolation="nearest", extent=(0, width, height, 0))
            else:
                axes.set_visible(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=6, fontsize=8)
    return png(figure)
