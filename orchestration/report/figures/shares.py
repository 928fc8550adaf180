"""Which stream was listened to (§2.1): a stream's share over the frame that it makes, by layer, and the gates."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestration.report import palette
from orchestration.report.figures.attention import ink, panel
from orchestration.report.figures.canvas import WIDTH, FigureError, bare, heading, png, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL = 1.45
ENDS = ("spatial stream only", "both alike", "semantic stream only")


def stream_share_map(
    frames: np.ndarray, share: np.ndarray, mean: np.ndarray | None = None, changes: np.ndarray | None = None
) -> bytes:
    """The frames of a clip; under them, a row each, what is given of how its cells listened.

    Args:
        frames: uint8 [T', H, W, 3], the frame of each latent frame.
        share: float [T', h, w] in 0..1, the share of the VLM in a cell; the rest is the spatial encoder's. NaN, where
            neither stream moves the cell, stays clear.
        mean: the same over many clips, drawn without a frame under it.
        changes: float [T', h, w, 2], how far a cell moves without the spatial and without the semantic stream, each
            row scaled to its own maximum: where a stream is heard at all, however little.
    """
    if frames.ndim != 4 or share.ndim != 3 or len(frames) != len(share):
        raise FigureError(f"stream share: frames {frames.shape} and share {share.shape} are not [T,H,W,3] and [T,h,w]")
    count, height, width, _ = frames.shape
    rows = 2 + (mean is not None) + 2 * (changes is not None)
    cell = (WIDTH - _LABEL) / max(count, 5) * height / width
    figure, grid = sheet(rows * (cell + 0.04) + 0.5, rows, count, pad=0.012)
    lines = iter(grid)
    for t, axes in enumerate(_line(lines, "frames")):
        axes.imshow(frames[t], extent=(0, 1, 1, 0))
        axes.set_title(f"latent frame {t}", loc="center", fontsize=7, fontweight="normal", pad=2)
    heat: Any = [_heat(axes, frames[t], share[t]) for t, axes in enumerate(_line(lines, "share"))][-1]
    if mean is not None:
        for t, axes in enumerate(_line(lines, "share,\nall clips")):
            heat = _heat(axes, None, mean[t])
    bar = figure.colorbar(heat, ax=[axes for line in grid for axes in line], location="bottom", aspect=50,
                          fraction=0.05, pad=0.02, shrink=0.6)  # fmt: skip
    for stream, values in enumerate(() if changes is None else np.moveaxis(changes, -1, 0)):
        label = f"moved without\n{('spatial', 'semantic')[stream]},\nto {values.max():.2g} s.d."
        for t, axes in enumerate(_line(lines, label)):
            panel(axes, frames[t], ink(("spatial", "semantic")[stream], values, t))
    bar.set_ticks([0, 0.5, 1], labels=list(ENDS))
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(length=0, labelsize=7)
    return png(figure)


def _line(lines: "Iterator[list[Axes]]", label: str) -> "list[Axes]":
    line = next(lines)
    for axes in line:
        bare(axes)
    line[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=6, fontsize=7.5)
    return line


def _heat(axes: "Axes", frame: np.ndarray | None, share: np.ndarray) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    colours = [palette.SERIES["dino_only"], "#f3f1ec", palette.SERIES["vlm_only"]]
    streams = LinearSegmentedColormap.from_list("streams", colours)
    if frame is not None:
        axes.imshow(frame.mean(axis=-1), cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0))
    return axes.imshow(share, cmap=streams, vmin=0, vmax=1, alpha=0.72, extent=(0, 1, 1, 0))


Row = Mapping[str, float | None]
"""`value`, and `low` and `high` of its interval where it has one."""


def layer_shares(shares: Mapping[str, Mapping[str, Row]], gates: Sequence[Sequence[float]]) -> bytes:
    """The semantic stream's share of the cells and of the caption tokens, whole and by layer; beside it the gates.

    Args:
        shares: "whole" or a layer -> output ("cells", "captions") -> its share, 0..1.
        gates: [layers][2] in 0..1, how far a layer lets the spatial and the semantic stream in.
    """
    if not shares or not gates:
        raise FigureError("layer shares: no share or no gate was measured")
    figure, [[left, right]] = sheet(0.95 + 0.36 * max(len(shares), len(gates)), 1, 2)
    outputs = {"cells": ("latent cells", "o", -0.13), "captions": ("caption tokens", "s", 0.13)}
    for output, (words, marker, apart) in outputs.items():
        colour = palette.INK if output == "cells" else palette.SERIES["hybrid"]
        for place, row in enumerate(found.get(output, {}) for found in shares.values()):
            value, low, high = row.get("value"), row.get("low"), row.get("high")
            if value is None:
                continue
            if low is not None and high is not None:
                left.plot([low, high], [place + apart] * 2, color=colour, linewidth=1.4, alpha=0.6)
            label = words if place == 0 else None
            left.plot(value, place + apart, marker, color=colour, markersize=5, label=label, linestyle="none")
            left.text(
                min(max(value, high or 0) + 0.025, 0.9),
                place + apart,
                _short(value),
                va="center",
                fontsize=7,
                color=colour,
            )
    _rows(left, list(shares))
    left.set_xlim(-0.02, 1.02)
    left.set_xticks([0, 0.5, 1], labels=["spatial\nonly", "both\nalike", "semantic\nonly"])
    left.axvline(0.5, color=palette.RULE, linewidth=0.8, zorder=0)
    heading(left, "Share of the semantic stream")
    for stream, colour in enumerate((palette.SERIES["dino_only"], palette.SERIES["vlm_only"])):
        places = [layer + (stream - 0.5) * 0.34 for layer in range(len(gates))]
        values = [layer[stream] for layer in gates]
        right.barh(places, values, height=0.3, color=colour, label=("spatial", "semantic")[stream])
        for place, value in zip(places, values, strict=True):
            right.text(value + 0.015, place, f"{value:.2f}", va="center", fontsize=7)
    _rows(right, [f"layer {layer + 1}" for layer in range(len(gates))] if len(gates) > 1 else ["all layers"])
    right.set_xlim(0, 1.12)
    right.set_xticks([0, 0.5, 1])
    heading(right, "Gates")
    figure.legend(frameon=False, fontsize=7, loc="outside lower center", ncols=4, handlelength=1)
    return png(figure)


def _short(share: float) -> str:
    return "< 0.01" if 0 < share < 0.01 else f"{share:.2f}"


def _rows(axes: "Axes", labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), labels=labels, color=palette.INK)
    axes.set_ylim(len(labels) - 0.5, -0.5)
