"""Where queries look: their attention over the grids of both streams, on the frames (§2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orchestration.report import palette
from orchestration.report.figures.canvas import WIDTH, FigureError, bare, png, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL = 1.25
STREAMS = {"spatial": "dino_only", "semantic": "vlm_only"}
"""The streams, and the arm whose colour each has."""


@dataclass(frozen=True)
class QueryAttention:
    """What one query attends to; both maps together sum to 1."""

    spatial: np.ndarray
    """float [T, rows, columns] over the spatial encoder's tokens."""
    semantic: np.ndarray
    """float [T, rows, columns] over the VLM's tokens."""
    cell: tuple[int, int, int] | None = None
    """Latent frame, row and column of its output; none of a query without a place."""


def attention_maps(frames: np.ndarray, queries: Mapping[str, QueryAttention], grid: tuple[int, int]) -> bytes:
    """A row a query: left over the steps of the spatial tokens in blue, right over the VLM's in orange.

    Each half of a row is scaled to its own maximum; at its left stand what each half has of the attention and, in
    brackets, that maximum. The query's own cell is framed.

    Args:
        frames: uint8 [T', H, W, 3], the frame of each latent frame.
        grid: rows and columns of a latent frame.
    """
    if frames.ndim != 4 or not queries:
        raise FigureError(f"attention: frames {frames.shape} are not [T,H,W,3], or there is no query")
    count, height, width, _ = frames.shape
    steps = {stream: max(len(getattr(query, stream)) for query in queries.values()) for stream in STREAMS}
    columns = sum(steps.values())
    cell = (WIDTH - _LABEL) / columns * height / width
    figure, lines = sheet(len(queries) * (cell + 0.05) + 0.3, len(queries), columns, pad=0.012)
    for line, (label, query) in zip(lines, queries.items(), strict=True):
        halves = {"spatial": line[: steps["spatial"]], "semantic": line[steps["spatial"] :]}
        for stream, panels in halves.items():
            maps = getattr(query, stream)
            for step, axes in enumerate(panels):
                shown = frames[round(step * (count - 1) / max(len(maps) - 1, 1))]
                panel(axes, shown, ink(stream, maps, step))
                if line is lines[0]:
                    colour = palette.SERIES[STREAMS[stream]]
                    axes.set_title(f"{stream} {step}", fontsize=6.5, fontweight="normal", pad=2, color=colour)
                if query.cell is not None and query.cell[0] == step and len(maps) == count:
                    _frame(axes, query.cell, grid)
        said = "\n".join(
            f"{stream} {maps.sum():.0%} ({maps.max():.1%})"
            for stream, maps in (("spatial", query.spatial), ("semantic", query.semantic))
        )
        line[0].set_ylabel(f"{label}\n{said}", rotation=0, ha="right", va="center", labelpad=6, fontsize=6.5)
    return png(figure)


def panel(axes: "Axes", frame: np.ndarray, ink: np.ndarray) -> None:
    """The frame in pale grey under the ink."""
    bare(axes)
    pale = 255 - (255 - frame.mean(axis=-1)) / 2
    axes.imshow(pale, cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0))
    axes.imshow(ink, extent=(0, 1, 1, 0), interpolation="nearest")


def ink(stream: str, maps: np.ndarray, step: int) -> np.ndarray:
    """RGBA [rows, columns, 4]: the stream's colour, the more of it the more attention."""
    from matplotlib.colors import to_rgba_array

    ink = np.tile(to_rgba_array(palette.SERIES[STREAMS[stream]]), (*maps[step].shape, 1))
    ink[..., 3] = maps[step] / (maps.max() or 1)
    return ink


def _frame(axes: "Axes", place: tuple[int, int, int], grid: tuple[int, int]) -> None:
    from matplotlib.patches import Rectangle

    _, row, column = place
    rows, columns = grid
    corner = (column / columns, row / rows)
    axes.add_patch(Rectangle(corner, 1 / columns, 1 / rows, fill=False, edgecolor=palette.INK, linewidth=1.2))
