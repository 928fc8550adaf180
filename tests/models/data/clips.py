"""Small data folders: clips of random rectangles."""

import json
from pathlib import Path

import numpy as np

from models.data.video import write_lossless


def rectangles(seed: int, frames: int = 9, height: int = 32, width: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Frames and masks of one rectangle that moves to the right over noise."""
    rng = np.random.default_rng(seed)
    video = rng.integers(0, 60, (frames, height, width, 3), dtype=np.uint8)
    masks = np.zeros((frames, height, width), np.uint8)
    top, colour = int(rng.integers(0, height // 2)), rng.integers(100, 256, 3, dtype=np.uint8)
    for t in range(frames):
        box = np.s_[t, top : top + height // 4, t : t + width // 4]
        video[box], masks[box] = colour, 1
    return video, masks


def make_row(folder: Path, name: str, *, seed: int = 0, split: str = "train", masks: bool = False, **options) -> dict:
    """Write a clip (and its masks) and give its manifest row."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    extra = {key: options.pop(key) for key in ("frames", "height", "width") if key in options}
    video, labels = rectangles(seed, **extra)
    write_lossless(folder / f"clips/{name}.mkv", video)
    row = {"id": name, "path": f"clips/{name}.mkv", "split": split, **options}
    if masks:
        np.save(folder / f"clips/{name}.npy", labels)
        row["masks"] = f"clips/{name}.npy"
    return row


def write_manifest(folder: Path, rows: list[dict | str]) -> Path:
    """Rows as JSONL; text goes in as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "manifest.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Every file below, by name."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
