"""The per-clip values behind an evaluation: one Parquet file beside the document, which pins its hash.

    clip_id       string
    clip_sha256   string    hash of the true frames: what makes two clips the same
    arm           string    hybrid, vlm_only, dino_only, or a baseline
    metric        string    as the document names it
    value         float64   null where the metric is undefined on the clip

With it any two arms or baselines, of one run or of two, can be compared clip by clip. A number of a whole set (FVD,
mAP, CKA, timings) has no value of a clip and no row here.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.documents import Evaluation, PerClip, sha256

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic import JsonValue

FILE = "clips.parquet"
COLUMNS = ("clip_id", "clip_sha256", "arm", "metric", "value")


class ClipValuesError(ValueError):
    """Per-clip values that are not there, or are not those that an evaluation speaks of."""


def identities(ids: list[str], frames: np.ndarray) -> dict[str, str]:
    """Each clip's hash, from its true frames uint8 [N, T, H, W, 3]."""
    shape = str(frames.shape[1:]).encode()
    return {clip: hashlib.sha256(shape + shown.tobytes()).hexdigest() for clip, shown in zip(ids, frames, strict=True)}


def write(folder: Path, clips: Mapping[str, str], values: Mapping[str, Mapping[str, np.ndarray]]) -> PerClip:
    """Write values[arm][metric], an array [N] over `clips` in their order or [K < N] over the first K of them."""
    import pandas as pd

    from models.data import write_durably

    ids, hashes = list(clips), list(clips.values())
    parts = [
        pd.DataFrame(dict(zip(COLUMNS, (ids[: len(one)], hashes[: len(one)], arm, metric, one), strict=True)))
        for arm, metrics in values.items()
        for metric, one in metrics.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    data = io.BytesIO()
    table.to_parquet(data, index=False)
    return PerClip(file=FILE, sha256=write_durably(folder / FILE, data.getvalue()), clips=_clips(table))


def read(evaluation: Evaluation, document: Path) -> pd.DataFrame:
    """The values beside an evaluation's document.

    Raises:
        ClipValuesError: there are none, or the file is not the one that the document pins.
    """
    import pandas as pd

    if evaluation.per_clip is None:
        raise ClipValuesError(f"{document}: evaluated before per-clip values were kept; evaluate again to compare it")
    path = document.with_name(evaluation.per_clip.file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClipValuesError(f"{path}: cannot be read ({error.strerror}); evaluate again to compare it") from None
    if hashlib.sha256(data).hexdigest() != evaluation.per_clip.sha256:
        raise ClipValuesError(f"{path}: not the file that {document.name} pins; evaluate again to compare it")
    return pd.read_parquet(io.BytesIO(data))


def pin(evaluation: Evaluation, document: Path) -> dict[str, JsonValue]:
    """What a gate has to find in the evaluation: the hash of the file that lies beside it now, or that none does."""
    if evaluation.per_clip is None:
        return {}
    path = document.with_name(evaluation.per_clip.file)
    return {"per_clip_sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None}


def _clips(table: pd.DataFrame) -> dict[str, str]:
    """One hash over each arm's clips."""
    return {
        str(arm): sha256(sorted({*zip(rows["clip_id"], rows["clip_sha256"], strict=True)}))
        for arm, rows in table.groupby("arm", sort=False)
    }
