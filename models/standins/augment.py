"""Mirrors, transposes and reversals of generated clips, with their captions kept true."""

import numpy as np
from torch import Tensor

from models.data.moving_shapes import DIRECTIONS

_MIRROR = {"left": "right", "right": "left"}
_FLIP = {"up": "down", "down": "up"}
_TRANSPOSE = {"left": "up", "up": "left", "right": "down", "down": "right"}
_REVERSE = {**_MIRROR, **_FLIP}


def _rename(caption: str, names: dict[str, str]) -> str:
    return " ".join(names.get(word, word) for word in caption.split())


def _swap_order(caption: str) -> str:
    words = caption.split()
    first, second = (i for i, word in enumerate(words) if word in DIRECTIONS)
    words[first], words[second] = words[second], words[first]
    return " ".join(words)


def augment(clip: Tensor, caption: str, rng: np.random.Generator) -> tuple[Tensor, str]:
    """A random symmetry of uint8 [T, H, W, channels] (square frames) and its caption."""
    mirror, flip, transpose, reverse = rng.random(4) < 0.5
    if mirror:
        clip, caption = clip.flip(2), _rename(caption, _MIRROR)
    if flip:
        clip, caption = clip.flip(1), _rename(caption, _FLIP)
    if transpose:
        clip, caption = clip.transpose(1, 2), _rename(caption, _TRANSPOSE)
    if reverse:
        clip, caption = clip.flip(0), _swap_order(_rename(caption, _REVERSE))
    return clip, caption
