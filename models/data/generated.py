"""A data set of `moving_shapes` clips on disk, with its manifest: the same bytes on every machine for the same seed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.data.moving_shapes import render_clip
from models.data.video import write_lossless

Progress = Callable[[str, int, int, dict[str, float]], None]
HELDOUT_OFFSET = 500_000
"""Held-out clips have seeds of their own, so that a larger training set holds none of them."""


def write_dataset(
    folder: Path,
    train: int,
    heldout: int,
    seed: int,
    *,
    frames: int = 9,
    size: int = 64,
    progress: Progress = lambda *_: None,
) -> None:
    """Write clips/, masks/ and, last, manifest.jsonl."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    lines = []
    for done in range(train + heldout):
        split, number = ("train", done) if done < train else ("heldout", done - train)
        name = f"{split}-{number:06d}"
        clip = render_clip(seed + number + (HELDOUT_OFFSET if split == "heldout" else 0), frames=frames, size=size)
        write_lossless(folder / "clips" / f"{name}.mkv", clip.frames)
        np.save(folder / "masks" / f"{name}.npy", clip.masks)
        row = {"id": name, "path": f"clips/{name}.mkv", "split": split, "caption": clip.caption}
        lines.append({**row, "directions": list(clip.directions), "masks": f"masks/{name}.npy"})
        progress("render", done + 1, train + heldout, {})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
