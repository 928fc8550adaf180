"""The clip whose future is foretold: a video file, cut as ingest would, or a held-out clip, as it is stored."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestration.explanation.document import Seen
from orchestration.prediction.trained import PredictorError, TrainedPredictor

if TYPE_CHECKING:
    from models.training.horizon import Horizon


@dataclass(frozen=True)
class Given:
    """A clip, and what came after its context where that is known."""

    seen: Seen
    frames: np.ndarray
    """uint8 [T, H, W, 3], the context first."""
    fps: float
    """Of these frames."""
    outcome: np.ndarray | None
    """uint8 [horizon.ahead, H, W, 3]"""


def find_clips(given: str, trained: TrainedPredictor) -> list[str]:
    """The clips that are meant: all videos of a folder, or the file or held-out clip itself.

    Raises:
        PredictorError: neither a file, nor a folder with a video, nor a held-out clip.
    """
    from models.data.video import SUFFIXES

    path = Path(given).expanduser()
    if path.is_dir():
        found = sorted(str(file) for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not found:
            raise PredictorError(f"{path}: no video in the folder; the names end in {', '.join(sorted(SUFFIXES))}")
        return found
    held_out = trained.inputs.shards.ids("heldout")
    if path.is_file() or given in held_out:
        return [given]
    if given in trained.inputs.shards.ids("train"):
        raise PredictorError(f"{given}: a clip that was trained on; give a held-out one, as {held_out[0]}")
    raise PredictorError(f"{given}: no such file or folder, and no held-out clip of {trained.job.dataset}; give one")


def read_clip(given: str, trained: TrainedPredictor, horizon: "Horizon", *, at_end: bool = False) -> Given:
    """The clip of a file or of an id.

    Args:
        at_end: the context is the film's last frames: what follows has not happened yet, and has no outcome.

    Raises:
        PredictorError: a file that cannot be used, or a held-out clip at whose end nothing could be compared.
    """
    path = Path(given).expanduser()
    if path.is_file():
        return _of_file(path, trained, horizon, at_end)
    if at_end:
        raise PredictorError(f"{given}: --at-end is for video files; a held-out clip is as long as was trained on")
    shards = trained.inputs.shards
    row = shards.index.set_index("clip_id").loc[given]
    cut = {"first_frame": int(row["first_frame"]), "stride": int(row["stride"])}
    frames = shards.frames([given])[0]
    seen = Seen(name=given, source="held-out", sha256=str(row["sha256"]), **_shape(frames), **cut)
    return Given(seen, frames, float(row["fps"]) / cut["stride"], frames[horizon.context :])


def _of_file(path: Path, trained: TrainedPredictor, horizon: "Horizon", at_end: bool) -> Given:
    from models.data import file_sha256
    from models.data.decoding import Decoder
    from models.data.video import ClipError, Limits, cuts

    settings = trained.inputs.shards.settings
    try:
        with Decoder(Limits(min_frames=horizon.context)) as decoder:
            film = decoder.film(path, settings["size"])
    except ClipError as error:
        raise PredictorError(f"{path}: {error}; give a video of {horizon.context} frames or more") from error
    count = len(film.frames)
    known = at_end or count < horizon.frames
    length = horizon.context if known else horizon.frames
    taken = cuts(count, length, settings["stride"], 1)[0] if length > 1 else slice(0, 1, 1)
    if known:
        back = count - 1 - (length - 1) * taken.step
        taken = slice(back, count, taken.step)
    frames = film.frames[taken]
    outcome = None if known else frames[horizon.context :]
    cut = {"first_frame": taken.start, "stride": taken.step}
    seen = Seen(name=path.name, source="file", sha256=file_sha256(path), **_shape(frames), **cut)
    return Given(seen, frames, film.fps / taken.step, outcome)


def _shape(frames: np.ndarray) -> dict[str, int]:
    return {"frames": len(frames), "size": frames.shape[1]}
