"""Known ways to spoil a clip, so that what each metric sees, and what it is blind to, can be shown (§6)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

from models.evaluation.baselines import copy_last, others
from models.evaluation.inputs import check_clips

NOISE = 12.0
"""Standard deviation, of 255."""


@dataclass(frozen=True)
class Disturbance:
    """Clips uint8 [N, T, H, W, 3], with their masks [N, T, H, W] where there are any, to spoiled clips."""

    says: str
    apply: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    needs_masks: bool = False


def blur(clips: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """Gaussian, sigma 1/64 of the width."""
    sigma = clips.shape[3] / 64
    return gaussian_filter(clips, (0, 0, sigma, sigma, 0))


def shift(clips: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """Everything to the right by 1/16 of the width; the left column is drawn out."""
    by = max(1, clips.shape[3] // 16)
    return np.concatenate([np.repeat(clips[:, :, :, :1], by, axis=3), clips[:, :, :, :-by]], axis=3)


def noise(clips: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """Gaussian, another one for each pixel and frame."""
    drawn = np.random.default_rng(0).normal(0, NOISE, clips.shape)
    return np.clip(np.rint(clips + drawn), 0, 255).astype(np.uint8)


def shuffle(clips: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """The same frames in an order in which none follows its own predecessor: first the odd ones, then the even."""
    length = clips.shape[1]
    return clips[:, [*range(1, length, 2), *range(0, length, 2)]]


def reverse(clips: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """The last frame first."""
    return clips[:, ::-1].copy()


def remove_objects(clips: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """Every object is painted over with the nearest ground, a pixel around it as well."""
    if masks is None:
        raise ValueError("objects are removed by their masks, and there are none")
    painted = clips.copy()
    for clip, objects in zip(painted, masks.astype(bool), strict=True):
        for frame, object_ in zip(clip, objects, strict=True):
            near = binary_dilation(object_)
            if near.any() and not near.all():
                places = np.asarray(distance_transform_edt(near, return_distances=False, return_indices=True))
                frame[:] = frame[places[0], places[1]]
    return painted


def recolour(clips: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """Red, green and blue change places: every shape stays where it is."""
    return np.ascontiguousarray(clips[..., [1, 2, 0]])


def freeze(clips: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """The first frame stands still."""
    return copy_last(check_clips(clips, "freeze"), known=1)


def another(clips: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """Each clip is another clip of the set: nothing of it is right."""
    return clips[others(len(clips))]


DISTURBANCES = {
    "blur": Disturbance("Gaussian blur, sigma 1/64 of the width", blur),
    "shift": Disturbance("moved to the right by 1/16 of the width", shift),
    "noise": Disturbance(f"Gaussian noise, standard deviation {NOISE:g} of 255", noise),
    "shuffle": Disturbance("frames in another order, odd before even", shuffle),
    "reverse": Disturbance("played backwards", reverse),
    "removed": Disturbance("objects painted over with the ground beside them", remove_objects, needs_masks=True),
    "recolour": Disturbance("red, green and blue change places", recolour),
    "frozen": Disturbance("the first frame stands still", freeze),
    "another": Disturbance("another clip of the set", another),
}
