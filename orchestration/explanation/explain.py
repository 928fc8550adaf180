"""Explain one clip (§2.1, §A.1): which stream its outputs listened to, what queries attend to, what encoders see.

Everything is computed before anything is written; the document is written last, so a folder that has it is whole.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestration.explanation.clip import Clip, Progress, read_clip
from orchestration.explanation.document import Attended, Cell, Explanation, Layer, Pins, Share
from orchestration.explanation.trained import ExplanationError, Trained, find, relative
from orchestration.home import Home

if TYPE_CHECKING:
    from models.evaluation.attribution import Attribution
    from models.evaluation.principal import PrincipalMap
    from models.fusion.config import FusionConfig

DOCUMENT, ARRAYS = "explanation.json", "explanation.npz"
FIGURES = ("stream_share", "stream_layers", "attention", "pca")
TITLES = {"dinov2": "DINOv2", "qwen": "Qwen2.5-VL"}


def explain(
    given: str,
    out: Path,
    home: Home,
    *,
    dataset: str,
    phase: Any,
    arm: str = "",
    profile: str = "",
    cells: Sequence[Cell] = (),
    progress: Progress = lambda *_: None,
) -> Explanation:
    """Write figures, arrays and document of a clip to the folder `out`.

    Args:
        given: a video file, or the id of a held-out clip of the dataset.
        cells: whose queries' attention is shown; without any, typical ones.

    Raises:
        ExplanationError: no checkpoint, no such clip, or one that cannot be used.
    """
    from models.data import write_durably
    from models.evaluation.attribution import attribute
    from models.evaluation.principal import principal_map

    if out.exists() and not out.is_dir():
        raise ExplanationError(f"{out}: a file; give --out a folder")
    trained = find(home, dataset, phase, arm, profile)
    _require_inside(cells, trained.fusion.config)
    clip = read_clip(given, trained, progress)
    progress("take the streams away in turn", 1, 3, {})
    found = attribute(trained.fusion, *(_there(clip.tokens.get(name), trained) for name in TITLES))
    maps = {name: principal_map(tokens.tokens[0].float().numpy()) for name, tokens in clip.tokens.items()}
    progress("draw", 2, 3, {})
    drawn, attended = _figures(trained, clip, found, maps, cells)
    ending = "_standins" if trained.job.profile.standins else ""
    files = {f"{name}{ending}.png": png for name, png in drawn.items()}
    document = _document(trained, clip, found, maps, attended, home, list(files))
    out.mkdir(parents=True, exist_ok=True)
    _clear(out)
    for name, content in {**files, ARRAYS: _arrays(trained, found, maps)}.items():
        write_durably(out / name, content)
    write_durably(out / DOCUMENT, json.dumps(document.document(), indent=1, ensure_ascii=False).encode())
    progress("written", 3, 3, {})
    return document


def _clear(out: Path) -> None:
    """Remove what an earlier explanation left, its document first: a figure of another clip must not stay beside it."""
    earlier = [f"{name}{ending}.png" for name in FIGURES for ending in ("", "_standins")]
    for name in (DOCUMENT, ARRAYS, *earlier):
        (out / name).unlink(missing_ok=True)


def _require_inside(cells: Sequence[Cell], config: "FusionConfig") -> None:
    sides = (config.latent_frames, *config.latent_grid)
    for cell in cells:
        if any(not 0 <= place < side for place, side in zip(cell, sides, strict=True)):
            raise ExplanationError(
                f"cell {','.join(map(str, cell))}: outside; FRAME,ROW,COLUMN lie below {','.join(map(str, sides))}"
            )


def _there(tokens: Any, trained: Trained) -> Any:
    """Tokens on the fusion's device, or none."""
    from models.encoders.base import Tokens

    parts = None if tokens is None else (tokens.tokens, tokens.positions, tokens.mask)
    return None if parts is None else Tokens(*(part.to(trained.fusion.device) for part in parts))


def _figures(
    trained: Trained, clip: Clip, found: "Attribution", maps: "dict[str, PrincipalMap]", cells: Sequence[Cell]
) -> tuple[dict[str, bytes], dict[str, Attended] | None]:
    """The figures, and of the queries whose attention they show, how it is divided."""
    from models.evaluation.attribution import typical_cells
    from orchestration.report.figures import attention_maps, principal_maps, stream_share_map
    from orchestration.stages.shares import layer_figure, query_attention, shown_frames

    config = trained.fusion.config
    frames, drawn, attended = clip.frames[shown_frames(len(clip.frames), config.latent_frames)], {}, None
    share = _by_cell(found, config)
    if found.whole is not None and share is not None:
        drawn["stream_share"] = stream_share_map(frames, share, changes=found.whole.cells[0].reshape(*share.shape, 2))
        drawn["stream_layers"] = layer_figure(_rows(found), trained.fusion)
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
    colours = {TITLES[name]: (_raster(one.colours, grids[name]), sum(one.explained)) for name, one in maps.items()}
    drawn["pca"] = principal_maps(frames, colours)
    return drawn, attended


def _document(
    trained: Trained,
    clip: Clip,
    found: "Attribution",
    maps: "dict[str, PrincipalMap]",
    attended: dict[str, Attended] | None,
    home: Home,
    figures: list[str],
) -> Explanation:
    job, config = trained.job, trained.fusion.config
    rows, gates = _rows(found), trained.fusion.gates().tolist()
    return Explanation(
        clip=clip.seen,
        phase=job.phase,
        arm=trained.arm,
        dataset=job.dataset,
        profile=job.profile.name,
        standins=job.profile.standins,
        fusion=config.kind,
        pins=Pins(
            checkpoint=relative(trained.checkpoint.path, home),
            checkpoint_sha256=trained.checkpoint.state["fingerprint"],
            steps=trained.checkpoint.step,
            data_version=job.data_version,
            code_commit=job.code_commit,
            weights={name: job.weights[name] for name in trained.reads},
            run=trained.run,
        ),
        share=_share(found, config),
        layers=[
            Layer(
                cells=_value(rows, f"layer {number + 1}, cells"),
                captions=_value(rows, f"layer {number + 1}, captions"),
                gate_spatial=spatial,
                gate_semantic=semantic,
            )
            for number, (spatial, semantic) in enumerate(gates)
        ],
        attention=attended,
        pca={name: list(one.explained) for name, one in maps.items()},
        figures=figures,
        arrays=ARRAYS,
        notes=_notes(trained),
    )


def _share(found: "Attribution", config: "FusionConfig") -> Share | None:
    from models.evaluation.attribution import PROTOCOL

    share, rows = _by_cell(found, config), _rows(found)
    if found.whole is None or share is None:
        return None
    without_spatial, without_semantic = found.whole.cells.mean((0, 1, 2)).tolist()
    return Share(
        protocol=PROTOCOL,
        cells=_value(rows, "cells"),
        captions=_value(rows, "captions"),
        by_cell=share.tolist(),
        moved_without_spatial=without_spatial,
        moved_without_semantic=without_semantic,
    )


def _notes(trained: Trained) -> list[str]:
    """What a reader must know of these numbers."""
    job, said = trained.job, []
    if job.profile.standins:
        said.append("made with stand-ins: small models that know generated clips only and say nothing of the real ones")
    if len(trained.reads) == 1:
        only = TITLES[trained.reads[0]]
        said.append(f"{trained.arm} is shown {only} alone: there is nothing to share, and the other stream is its null")
    if not trained.fusion.config.attends:
        said.append(f"a {trained.fusion.config.kind} fusion has no attention and no layers that read: share only")
    if job.phase == 3:
        said.append("of the fusion's output; what the generator makes of it is not attributed")
    return said


def _rows(found: "Attribution") -> dict[str, dict[str, Any]]:
    """The shares of this one clip, named as an evaluation names them; no intervals."""
    from orchestration.stages.shares import of_clips

    return {name: {"value": float(values[0])} for name, values in of_clips(found).items()}


def _value(rows: dict[str, dict[str, Any]], name: str) -> float | None:
    return rows[name]["value"] if name in rows else None


def _by_cell(found: "Attribution", config: "FusionConfig") -> np.ndarray | None:
    """[T', h, w]"""
    from models.evaluation.attribution import semantic_share

    return None if found.whole is None else semantic_share(found.whole.cells[0]).reshape(-1, *config.latent_grid)


def _raster(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    return values.reshape(len(values), *grid, *values.shape[2:])


def _arrays(trained: Trained, found: "Attribution", maps: "dict[str, PrincipalMap]") -> bytes:
    """Every array by name: what each output of this clip lost without (spatial, semantic), all attention, PCA colours.

    `moved_cells` [T', h, w, 2], `moved_captions` [S, 2], `layer_moved_cells` and `layer_moved_captions` with the layers
    before; `attention_spatial` [layers, queries, T, rows, columns] and `attention_semantic`, queries being the cells
    of every latent frame and then the caption tokens; `pca_NAME` [T, rows, columns, 3].
    """
    config, arrays = trained.fusion.config, {}
    if found.whole is not None:
        arrays["moved_cells"] = _raster(found.whole.cells[0], config.latent_grid)
        arrays["moved_captions"] = found.whole.captions[0]
    if found.layers is not None:
        arrays["layer_moved_cells"] = np.stack([_raster(one, config.latent_grid) for one in found.layers.cells[:, 0]])
        arrays["layer_moved_captions"] = found.layers.captions[:, 0]
    if found.attention is not None:
        attention = found.attention[:, 0]
        count = config.latent_frames * config.spatial_grid[0] * config.spatial_grid[1]
        for stream, part, grid in (
            ("spatial", attention[..., :count], config.spatial_grid),
            ("semantic", attention[..., count:], config.semantic_grid),
        ):
            arrays[f"attention_{stream}"] = part.reshape(*part.shape[:2], -1, *grid)
    grids = {"dinov2": config.spatial_grid, "qwen": config.semantic_grid}
    arrays |= {f"pca_{name}": _raster(one.colours, grids[name]) for name, one in maps.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
