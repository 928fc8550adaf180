"""What every metric takes: clips as uint8 [N, T, H, W, 3]. Anything else is refused with its reason, never mended."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

PIXELS_AT_ONCE = 2**20
"""What a network is shown at once: 256 frames of 64x64, 20 of 224x224, a single one of 1024x1024 or more."""


class MetricInputError(ValueError):
    """Clips that a metric cannot be computed on as its protocol says."""


def check_clips(frames: np.ndarray, what: str) -> np.ndarray:
    """The same array, if it is clips of RGB bytes.

    Raises:
        MetricInputError: another shape, another type, NaN pixels, or a value range that is not 0..255, also where it
            shows only in what a cast to bytes left: nothing but 0 and 1, or these and 255.
    """
    if not isinstance(frames, np.ndarray) or frames.ndim != 5 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise MetricInputError(f"{what}: clips are [N,T,H,W,3], not {getattr(frames, 'shape', type(frames).__name__)}")
    if frames.dtype != np.uint8:
        raise MetricInputError(f"{what}: {_why_not_bytes(frames)}")
    if (cast := _cast_from(frames)) is not None:
        raise MetricInputError(f"{what}: {cast}; scale to 0..255 before the cast to bytes")
    return frames


def _cast_from(frames: np.ndarray) -> str | None:
    """What range bytes seem to have been cast from without being scaled, if they do."""
    first = frames[0, 0]
    if ((first > 1) & (first < 255)).any():  # nearly every clip ends here
        return None
    ones, between = (frames == 1).any(), ((frames > 1) & (frames < 255)).any()
    if not ones or between:
        return None
    high = frames.max()
    return "every byte is 0 or 1, as of [0, 1]" if high == 1 else "every byte is 0, 1 or 255, as of [-1, 1]"


def _why_not_bytes(frames: np.ndarray) -> str:
    if frames.dtype.kind == "f" and not np.isfinite(frames).all():
        clips = np.flatnonzero(~np.isfinite(frames).all(axis=(1, 2, 3, 4)))
        return f"NaN or infinite pixels in {len(clips)} of {len(frames)} clips, first clip {clips[0]}"
    low, high = float(frames.min()), float(frames.max())
    return f"pixels are {frames.dtype} in [{low:.3g}, {high:.3g}]; bytes 0..255 (uint8) are needed"


def check_pair(reference: np.ndarray, generated: np.ndarray) -> None:
    """Both are clips, of one shape.

    Raises:
        MetricInputError: other numbers of clips, lengths or sizes; a metric compares frame with frame.
    """
    check_clips(reference, "reference")
    check_clips(generated, "generated")
    for axis, what in enumerate(("clips", "frames", "rows", "columns")):
        if reference.shape[axis] != generated.shape[axis]:
            raise MetricInputError(
                f"{reference.shape[axis]} {what} in the reference, {generated.shape[axis]} in the generated; "
                "bring both to one length and size first"
            )


def distinct(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clips [N, T, H, W, 3] without the frames that only repeat the one before, and where each frame is to be found:
    frames [F, H, W, 3] and places int [N, T]. What is looked at frame by frame is looked at once where a clip stands
    still.
    """
    new = np.ones(frames.shape[:2], bool)
    new[:, 1:] = [[not np.array_equal(*two) for two in pairwise(clip)] for clip in frames]
    return frames[new], (np.cumsum(new) - 1).reshape(new.shape)


def chunks(frames: np.ndarray) -> Iterator[slice]:
    """Frames [F, H, W, 3] in runs that fit a network's memory, whatever their size."""
    some = max(1, PIXELS_AT_ONCE // (frames.shape[1] * frames.shape[2]))
    return (slice(start, start + some) for start in range(0, len(frames), some))


def to_bytes(video: np.ndarray) -> np.ndarray:
    """Float clips [N, 3, T, H, W] in [-1, 1] (a decoder's output) -> uint8 [N, T, H, W, 3]; overshoot is clipped.

    Raises:
        MetricInputError: NaN pixels, or values so far out that the range must be another one.
    """
    if video.ndim != 5 or video.shape[1] != 3:
        raise MetricInputError(f"decoded clips are [N,3,T,H,W], not {video.shape}")
    if not np.isfinite(video).all():
        raise MetricInputError("NaN or infinite pixels in the decoded clips")
    if np.abs(video).max() > 4:
        raise MetricInputError(f"decoded pixels reach {np.abs(video).max():.3g}; the range is [-1, 1]")
    return np.rint((np.clip(video, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 4, 1)
