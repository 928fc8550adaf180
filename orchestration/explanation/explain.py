"""Explain one clip (§2.1, §A.1): which stream its outputs listened to, what queries attend to, what encoders see.

Everything is computed before anything is written; the document is written last, so a folder that has it is whole.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.documents import Phase
from orchestration.explanation.clip import Progress, read_clip
from orchestration.explanation.document import Cell, Explanation
from orchestration.explanation.drawn import FIGURES, TITLES, arrays, figures
from orchestration.explanation.said import document
from orchestration.explanation.trained import ExplanationError, find
from orchestration.home import Home

if TYPE_CHECKING:
    from models.fusion.config import FusionConfig

DOCUMENT, ARRAYS = "explanation.json", "explanation.npz"


def explain(
    given: str,
    out: Path,
    home: Home,
    *,
    dataset: str,
    phase: Phase,
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
    from models.training.data import tokens_to

    if out.exists() and not out.is_dir():
        raise ExplanationError(f"{out}: a file; give --out a folder")
    trained = find(home, dataset, phase, arm, profile)
    _require_inside(cells, trained.fusion.config)
    clip = read_clip(given, trained, progress)
    progress("take the streams away in turn", 1, 3, {})
    streams = (clip.tokens.get(name) for name in TITLES)
    found = attribute(trained.fusion, *(tokens and tokens_to(tokens, trained.fusion.device) for tokens in streams))
    maps = {name: principal_map(tokens.tokens[0].numpy()) for name, tokens in clip.tokens.items()}
    progress("draw", 2, 3, {})
    drawn, attended = figures(trained, clip, found, maps, cells)
    ending = "_standins" if trained.job.profile.standins else ""
    files = {f"{name}{ending}.png": png for name, png in drawn.items()}
    made = document(trained, clip, found, maps, attended, home, list(files), ARRAYS)
    files[ARRAYS] = arrays(trained, found, maps)
    out.mkdir(parents=True, exist_ok=True)
    _clear(out)
    for name, content in files.items():
        write_durably(out / name, content)
    write_durably(out / DOCUMENT, json.dumps(made.document(), indent=1, ensure_ascii=False).encode())
    progress("written", 3, 3, {})
    return made


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
