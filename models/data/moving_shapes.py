"""`moving_shapes`: generated clips whose masks, boxes, directions, order and captions are known exactly.

One to three textured shapes move over a textured ground. The first-named shape goes one way in the first half of the
clip and another way in the second half, so the order of the two is a fact of the clip; the others go straight, bounce
off the borders, grow or shrink, and hide each other. Colours of shape and ground may be close.

Every machine must regenerate the same bytes (`data.dvc` is their hash), so only operations that IEEE 754 rounds exactly
are used: + - * / and comparisons, no sine, no matrix product; rotations are rational points of the unit circle.
"""

from dataclasses import dataclass

import numpy as np

SHAPES = ("circle", "square", "triangle", "cross", "ring")
TEXTURES = ("plain", "striped", "dotted")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 45, 45),
    "green": (50, 160, 70),
    "blue": (50, 80, 200),
    "yellow": (225, 200, 60),
    "purple": (140, 60, 165),
    "orange": (230, 130, 40),
    "white": (235, 235, 230),
    "cyan": (60, 190, 200),
}
DIRECTIONS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_ROTATIONS = ((1.0, 0.0), (4 / 5, 3 / 5), (3 / 5, 4 / 5), (12 / 13, 5 / 13), (5 / 13, 12 / 13), (0.0, 1.0))
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class Clip:
    """One generated clip. Positions are in pixels, x to the right and y down."""

    frames: np.ndarray
    """uint8 [T, H, W, 3], RGB."""
    masks: np.ndarray
    """uint8 [T, H, W]: 0 is ground, k the visible part of the k-th named shape."""
    caption: str
    directions: tuple[str, str]
    """Direction of the first-named shape in the first and in the second half."""


@dataclass(frozen=True)
class _Shape:
    kind: str
    texture: str
    colour: str
    radius: np.ndarray
    """float64 [T], pixels."""
    path: np.ndarray
    """float64 [T, 2], centre (x, y) in pixels."""
    rotation: tuple[float, float]

    @property
    def size_word(self) -> str:
        return "large" if self.radius.mean() >= 11 else "small"


def render_clip(seed: int, *, frames: int = 9, size: int = 64) -> Clip:
    """Render the clip that `seed` stands for.

    Args:
        seed: any non-negative integer; the same seed gives the same bytes everywhere.
        frames: clip length T, at least 3.
        size: height and width in pixels, at least 32.
    """
    if frames < 3 or size < 32:
        raise ValueError(f"moving_shapes: frames={frames}, size={size}; at least 3 frames of 32 pixels are needed")
    rng = np.random.Generator(np.random.PCG64(seed))
    first, directions = _turning_shape(rng, frames, size)
    others = [_straight_shape(rng, frames, size, taken=first) for _ in range(int(rng.integers(0, 3)))]
    shapes = [first, *others]
    ground = _ground(rng, size)
    front_first = rng.random() < 0.7
    order = [*range(1, len(shapes)), 0] if front_first else [*range(len(shapes))]

    video = np.empty((frames, size, size, 3), np.uint8)
    masks = np.zeros((frames, size, size), np.uint8)
    for t in range(frames):
        video[t], masks[t] = _compose(shapes, order, ground, t, size)
    return Clip(video, masks, _caption(shapes, directions), directions)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * rng.random()


def _choice(rng: np.random.Generator, options):
    return options[int(rng.integers(0, len(options)))]


def _turning_shape(rng: np.random.Generator, frames: int, size: int) -> tuple[_Shape, tuple[str, str]]:
    """The first-named shape: two different directions, always inside the frame."""
    unit = size / 64
    start, second = (tuple(DIRECTIONS)[int(k)] for k in rng.permutation(4)[:2])
    speed = _uniform(rng, 2.5, 4.0) * unit * 8 / (frames - 1)
    radius = _uniform(rng, 8.5, 13.0) * unit
    half = frames // 2
    steps = np.array([DIRECTIONS[start] if t < half else DIRECTIONS[second] for t in range(frames - 1)], np.float64)
    walk = np.concatenate([np.zeros((1, 2)), np.cumsum(steps * speed, axis=0)])
    low, high = radius - walk.min(axis=0), size - radius - walk.max(axis=0)
    origin = low + (high - low) * rng.random(2)
    return _Shape(
        kind=_choice(rng, SHAPES),
        texture=_choice(rng, TEXTURES),
        colour=_choice(rng, tuple(COLOURS)),
        radius=np.full(frames, radius),
        path=origin + walk,
        rotation=_choice(rng, _ROTATIONS),
    ), (start, second)


def _straight_shape(rng: np.random.Generator, frames: int, size: int, *, taken: _Shape) -> _Shape:
    """A smaller shape that keeps its course, bounces off the borders, and may grow or shrink."""
    unit = size / 64
    radius = _uniform(rng, 5.0, 7.5) * unit
    growth = _uniform(rng, 0.75, 1.3)
    velocity = (rng.random(2) - 0.5) * 3.0 * unit
    centre = radius + (size - 2 * radius) * rng.random(2)
    path = np.empty((frames, 2))
    for t in range(frames):
        path[t] = centre
        centre = centre + velocity
        outside = (centre < radius) | (centre > size - radius)
        velocity = np.where(outside, -velocity, velocity)
        centre = np.clip(centre, radius, size - radius)
    colours = tuple(name for name in COLOURS if name != taken.colour)
    return _Shape(
        kind=_choice(rng, SHAPES),
        texture=_choice(rng, TEXTURES),
        colour=_choice(rng, colours),
        radius=radius * (1 + (growth - 1) * np.arange(frames) / (frames - 1)),
        path=path,
        rotation=_choice(rng, _ROTATIONS),
    )


def _ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """float64 [S, S, 3] at the supersampled size: a muted two-colour texture."""
    fine = size * _SUPERSAMPLING
    base = 40 + 130 * rng.random(3)
    other = base + (rng.random(3) - 0.5) * 70
    y, x = np.mgrid[0:fine, 0:fine] / (fine / 64)
    kind = int(rng.integers(0, 4))
    if kind == 0:
        weight = ((x * _choice(rng, (0, 1)) + y) // _uniform(rng, 5, 10)) % 2
    elif kind == 1:
        cell = _uniform(rng, 6, 12)
        weight = (x // cell + y // cell) % 2
    elif kind == 2:
        weight = (x * rng.random() + y) / 128
    else:
        weight = _value_noise(rng, fine)
    return base + (other - base) * weight[..., None]


def _value_noise(rng: np.random.Generator, fine: int) -> np.ndarray:
    """Bilinear noise in 0..1 over an 8x8 lattice."""
    lattice = rng.random((9, 9))
    at = np.arange(fine) * (8 / fine)
    i = np.minimum(at.astype(np.int64), 7)
    f = at - i
    rows = lattice[i] * (1 - f)[:, None] + lattice[i + 1] * f[:, None]
    return rows[:, i] * (1 - f) + rows[:, i + 1] * f


def _compose(shapes, order, ground, t: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame t as uint8 [H, W, 3] and its instance mask uint8 [H, W]."""
    fine = size * _SUPERSAMPLING
    centres = (np.arange(fine) + 0.5) / _SUPERSAMPLING
    canvas = ground.copy()
    owner = np.zeros((fine, fine), np.uint8)
    for k in order:
        shape = shapes[k]
        cos, sin = shape.rotation
        dx = (centres - shape.path[t, 0])[None, :]
        dy = (centres - shape.path[t, 1])[:, None]
        u = (dx * cos + dy * sin) / shape.radius[t]
        v = (dy * cos - dx * sin) / shape.radius[t]
        inside = _inside(shape.kind, u, v)
        paint = np.array(COLOURS[shape.colour], np.float64) * _shade(shape.texture, u, v)[..., None]
        canvas[inside] = paint[inside]
        owner[inside] = k + 1
    blocks = (size, _SUPERSAMPLING, size, _SUPERSAMPLING)
    mean = canvas.reshape(*blocks, 3).sum(axis=(1, 3)) / _SUPERSAMPLING**2
    frame = np.floor(np.clip(mean, 0, 255) + 0.5).astype(np.uint8)
    return frame, _majority(owner.reshape(blocks), len(shapes))


def _majority(owner: np.ndarray, n: int) -> np.ndarray:
    """Per pixel the shape that covers at least half of it, else ground."""
    mask = np.zeros((owner.shape[0], owner.shape[2]), np.uint8)
    for k in range(1, n + 1):
        mask[(owner == k).sum(axis=(1, 3)) * 2 >= _SUPERSAMPLING**2] = k
    return mask


def _inside(kind: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether points (u, v), in units of the radius, lie in the shape."""
    square = u * u + v * v
    match kind:
        case "circle":
            return square <= 1
        case "ring":
            return (square <= 1) & (square >= 0.25)
        case "square":
            return np.maximum(abs(u), abs(v)) <= 0.85
        case "triangle":
            return (v <= 0.75) & (v + 1 >= 2 * abs(u))
        case "cross":
            arms = (abs(u) <= 0.33) | (abs(v) <= 0.33)
            return arms & (np.maximum(abs(u), abs(v)) <= 1)
        case _:
            raise ValueError(f"moving_shapes: unknown shape {kind!r}; one of {', '.join(SHAPES)}")


def _shade(texture: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Brightness factor of the texture at (u, v)."""
    match texture:
        case "plain":
            return np.ones(np.broadcast(u, v).shape)
        case "striped":
            return np.where((np.floor((u + 4) * 2.5) % 2) == 0, 1.0, 0.6)
        case "dotted":
            du, dv = (u + 4) * 2 % 1 - 0.5, (v + 4) * 2 % 1 - 0.5
            return np.where(du * du + dv * dv < 0.09, 0.5, 1.0)
        case _:
            raise ValueError(f"moving_shapes: unknown texture {texture!r}; one of {', '.join(TEXTURES)}")


def _caption(shapes: list[_Shape], directions: tuple[str, str]) -> str:
    first, *others = shapes
    text = f"a {first.size_word} {first.texture} {first.colour} {first.kind} moves {directions[0]} then {directions[1]}"
    for other in others:
        text += f" near a {other.colour} {other.kind}"
    return text
