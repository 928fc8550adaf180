"""Boxes of a film's objects: read from its file, and brought to the frames that are kept.

A file of boxes is JSON: one list a frame of the film, of boxes [x1, y1, x2, y2] in the film's pixels, x to the right
and y down. A frame without objects has an empty list.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.data.video import ClipError

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""
Boxes = list[list[Box]]
"""Of each frame."""
MAX_BYTES = 64 * 2**20
"""Of a file of boxes: JSON takes many times its size when it is read."""
VISIBLE = 0.5
"""A box of which less than this share lies in the kept square is left out: most of its object cannot be seen."""


def read_boxes(path: Path, frames: int) -> Boxes:
    """The boxes of a film of so many frames.

    Raises:
        ClipError: not such a file, or of another film.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ClipError(f"boxes too large: {size} bytes, at most {MAX_BYTES}")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ClipError(f"boxes unreadable: {error}") from error
    if not isinstance(found, list) or len(found) != frames:
        given = f"{len(found)} frames" if isinstance(found, list) else type(found).__name__
        raise ClipError(f"boxes are of {given}; the film has {frames} frames, a list for each is needed")
    return [[_box(box, number) for box in _listed(boxes, number)] for number, boxes in enumerate(found)]


def in_centre_square(boxes: Sequence[Box], height: int, width: int, size: int) -> list[Box]:
    """Boxes of a frame of height x width in its centre square at size x size, cut at its borders."""
    side = min(height, width)
    left, top, scale = (width - side) // 2, (height - side) // 2, size / side
    kept = []
    for x1, y1, x2, y2 in boxes:
        moved = ((x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale)
        cut = tuple(min(max(value, 0.0), float(size)) for value in moved)
        if _area(cut) >= VISIBLE * _area(moved):
            kept.append(cut)
    return kept


def _listed(boxes: Any, number: int) -> list[Any]:
    if not isinstance(boxes, list):
        raise ClipError(f"boxes of frame {number} are no list")
    return boxes


def _box(value: Any, number: int) -> Box:
    if not isinstance(value, list) or len(value) != 4 or not all(_number(one) for one in value):
        raise ClipError(f"boxes of frame {number}: {str(value)[:60]} is no [x1, y1, x2, y2]")
    x1, y1, x2, y2 = (float(one) for one in value)
    if x2 <= x1 or y2 <= y1:
        raise ClipError(f"boxes of frame {number}: {value} is empty; x2 > x1 and y2 > y1 are needed")
    return x1, y1, x2, y2


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _area(box: Sequence[float]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
