"""What is drawn and kept of an explained clip: its figures and every array."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestration.explanation.clip import Clip
from orchestration.explanation.document import Attended, Cell
from orchestration.explanation.trained import Trained

if TYPE_CHECKING:
    from models.evaluation.attribution import Attribution
    from models.evaluation.principal import PrincipalMap
    from models.fusion.config import FusionConfig

TITLES = {"dinov2": "DINOv2", "qwen": "Qwen2.5-VL"}
FIGURES = ("stream_share", "stream_layers", "attention", "pca")


def figures(
    trained: Trained, clip: Clip, found: "Attribution", maps: "dict[str, PrincipalMap]", cells: Sequence[Cell]
) -> tuple[dict[str, bytes], dict[str, Attended] | None]:
    """The figures, and of the queries whose attention they show, how it is divided."""
    from models.evaluation.attribution import typical_cells
    from orchestration.report.figures import attention_maps, principal_maps, stream_share_map
    from orchestration.stages.shares import layer_figure, query_attention, shown_frames

    config = trained.fusion.config
    frames, drawn, attended = clip.frames[shown_frames(len(clip.frames), config.latent_frames)], {}, None
    share = by_cell(found, config)
    if found.whole is not None and share is not None:
        drawn["stream_share"] = stream_share_map(frames, share, changes=found.whole.cells[0].reshape(*share.shape, 2))
        drawn["stream_layers"] = layer_figure(rows(found), trained.fusion)
    if found.attention is not None:
        middle: Cell = (config.latent_frames // 2, config.latent_grid[0] // 2, config.latent_grid[1] // 2)
        asked = {f"cell {','.join(map(str, cell))}": cell for cell in cells}
        typical = {"middle": middle} if share is None else typical_cells(share)
        queries = query_attention(found, config, asked or typical)
        drawn["attention"] = attention_maps(frames, queries, config.latent_grid)
        attended = {
            name: Attended(cell=query.cell, spatial=float(query.spatial.sum()), semantic=float(query.semantic.sum()))
            for name, query in queries.items()
        }
    grids = {"dinov2": config.spatial_grid, "qwen": config.semantic_grid}
    colours = {TITLES[name]: (raster(one.colours, grids[name]), sum(one.explained)) for name, one in maps.items()}
    drawn["pca"] = principal_maps(frames, colours)
    return drawn, attended


def arrays(trained: Trained, found: "Attribution", maps: "dict[str, PrincipalMap]") -> bytes:
    """Every array by name: what each output of this clip lost without (spatial, semantic), all attention, PCA colours.

    `moved_cells` [T', h, w, 2], `moved_captions` [S, 2], `layer_moved_cells` and `layer_moved_captions` with the layers
    before; `attention_spatial` [layers, queries, T, rows, columns] and `attention_semantic`, queries being the cells
    of every latent frame and then the caption tokens; `pca_NAME` [T, rows, columns, 3].
    """
    config, kept = trained.fusion.config, {}
    if found.whole is not None:
        kept["moved_cells"] = raster(found.whole.cells[0], config.latent_grid)
        kept["moved_captions"] = found.whole.captions[0]
    if found.layers is not None:
        kept["layer_moved_cells"] = np.stack([raster(one, config.latent_grid) for one in found.layers.cells[:, 0]])
        kept["layer_moved_captions"] = found.layers.captions[:, 0]
    if found.attention is not None:
        attention = found.attention[:, 0]
        count = config.latent_frames * config.spatial_grid[0] * config.spatial_grid[1]
        for stream, part, grid in (
            ("spatial", attention[..., :count], config.spatial_grid),
            ("semantic", attention[..., count:], config.semantic_grid),
        ):
            kept[f"attention_{stream}"] = part.reshape(*part.shape[:2], -1, *grid)
    grids = {"dinov2": config.spatial_grid, "qwen": config.semantic_grid}
    kept |= {f"pca_{name}": raster(one.colours, grids[name]) for name, one in maps.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **kept)
    return buffer.getvalue()


def rows(found: "Attribution") -> dict[str, dict[str, Any]]:
    """The shares of this one clip, named as an evaluation names them; no intervals."""
    from orchestration.stages.shares import of_clips

    shares = {name: float(values[0]) for name, values in of_clips(found).items()}
    return {name: {"value": value if np.isfinite(value) else None} for name, value in shares.items()}


def by_cell(found: "Attribution", config: "FusionConfig") -> np.ndarray | None:
    """[T', h, w]"""
    from models.evaluation.attribution import semantic_share

    return None if found.whole is None else semantic_share(found.whole.cells[0]).reshape(-1, *config.latent_grid)


def raster(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    return values.reshape(len(values), *grid, *values.shape[2:])
