"""Where a query listens: its share of attention to either stream, over the frame that it makes (§2.1)."""

import numpy as np

from orchestration.report import palette
from orchestration.report.figures.canvas import WIDTH, FigureError, bare, png, sheet


def attention_heat(frames: np.ndarray, semantic_share: np.ndarray) -> bytes:
    """True frames above, the same frames under a heat of the semantic stream's share below.

    Args:
        frames: uint8 [T', H, W, 3], the frame of each latent frame.
        semantic_share: float [T', h, w] in 0..1, the attention that the query of a cell gives to the VLM's tokens; the
            rest goes to the spatial encoder's.
    """
    from matplotlib.colors import LinearSegmentedColormap

    if frames.ndim != 4 or semantic_share.ndim != 3 or len(frames) != len(semantic_share):
        raise FigureError(
            f"attention: frames {frames.shape} and share {semantic_share.shape} are not [T,H,W,3] and [T,h,w]"
        )
    colours = [palette.SERIES["dino_only"], "#f3f1ec", palette.SERIES["vlm_only"]]
    streams = LinearSegmentedColormap.from_list("streams", colours)
    count, height, width, _ = frames.shape
    cell = (WIDTH - 0.95) / max(count, 5) * height / width
    figure, grid = sheet(2 * cell + 0.75, 2, count)
    heat = None
    for t in range(count):
        grid[0][t].imshow(frames[t])
        grid[0][t].set_title(f"latent frame {t}", loc="center", fontsize=7, fontweight="normal", pad=2)
        grid[1][t].imshow(frames[t].mean(axis=-1), cmap="gray", vmin=0, vmax=255)
        heat = grid[1][t].imshow(
            semantic_share[t], cmap=streams, vmin=0, vmax=1, alpha=0.72, extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            interpolation="bilinear",
        )  # fmt: skip
        bare(grid[0][t])
        bare(grid[1][t])
    assert heat is not None
    bar = figure.colorbar(heat, ax=grid[1], location="bottom", aspect=60, fraction=0.06, pad=0.03)
    bar.set_ticks([0, 0.5, 1], labels=["spatial stream only", "both alike", "semantic stream only"])
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(length=0, labelsize=7)
    return png(figure)
