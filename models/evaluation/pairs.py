"""Two clips, or two folders of clips, side by side: each generated clip with the reference of its name."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.data.video import SUFFIXES, ClipError, Limits, decode
from models.evaluation.inputs import MetricInputError

Progress = Callable[[str, int, int, dict[str, float]], None]
ONE_FRAME = Limits(min_frames=1)


@dataclass(frozen=True)
class Pair:
    """Two files that show, or should show, the same."""

    name: str
    reference: Path
    generated: Path


@dataclass(frozen=True)
class Clips:
    """Pairs of one length and size."""

    names: list[str]
    reference: np.ndarray
    """uint8 [N, T, H, W, 3]"""
    generated: np.ndarray
    """uint8 [N, T, H, W, 3]"""


def find_pairs(reference: Path, generated: Path) -> tuple[list[Pair], list[str]]:
    """The pairs by name, and the names of reference clips that have no generated one.

    Files are a pair as they are. In folders a clip's name is its path below the folder without the suffix, as a
    generated clip is seldom stored in its reference's format.

    Raises:
        MetricInputError: a file beside a folder, nothing there, one name twice, or a generated clip without reference.
    """
    for path in (reference, generated):
        if not path.exists():
            raise MetricInputError(f"{path}: not there; give two clips or two folders of clips")
    if reference.is_dir() != generated.is_dir():
        raise MetricInputError(f"{reference} and {generated}: one is a folder, one a file; give two of a kind")
    if not reference.is_dir():
        return [Pair(generated.stem, reference, generated)], []
    true, made = _by_name(reference), _by_name(generated)
    if lost := sorted(made.keys() - true.keys()):
        raise MetricInputError(
            f"{generated}: {_some(lost)} without a clip of that name in {reference}; rename or remove it"
        )
    return [Pair(name, true[name], made[name]) for name in sorted(made)], sorted(true.keys() - made.keys())


def read_pairs(pairs: list[Pair], progress: Progress = lambda *_: None) -> list[Clips]:
    """Decode every pair once; pairs of one length and size stand together, in the order of their names.

    Raises:
        MetricInputError: a clip that cannot be read, or a pair of two lengths or sizes: nothing is cut or resized.
    """
    groups: dict[tuple[int, ...], list[tuple[str, np.ndarray, np.ndarray]]] = {}
    for done, pair in enumerate(pairs):
        true, made = _read(pair.reference), _read(pair.generated)
        if true.shape != made.shape:
            raise MetricInputError(
                f"{pair.name}: the reference is {_size(true)}, the generated {_size(made)}; "
                "bring both to one length and size first"
            )
        groups.setdefault(true.shape, []).append((pair.name, true, made))
        progress("decode", done + 1, len(pairs), {})
    return [
        Clips([name for name, _, _ in group], *(np.stack([row[side] for row in group]) for side in (1, 2)))
        for group in groups.values()
    ]


def _by_name(folder: Path) -> dict[str, Path]:
    files = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in files]
    if not files:
        raise MetricInputError(f"{folder}: no clip in it; known are {' '.join(sorted(SUFFIXES))}")
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise MetricInputError(f"{folder}: {_some(twice)} more than once, with other suffixes; keep one")
    return dict(zip(names, files, strict=True))


def _read(path: Path) -> np.ndarray:
    try:
        return decode(path, ONE_FRAME).frames
    except ClipError as error:
        raise MetricInputError(f"{path}: {error}") from error


def _size(frames: np.ndarray) -> str:
    length, height, width, _ = frames.shape
    return f"{length} frames of {height}x{width}"


def _some(names: list[str]) -> str:
    return f"{names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
