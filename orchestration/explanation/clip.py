"""The clip that is explained: a video file, cut and encoded as ingest would, or a held-out clip, as it is stored."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestration.explanation.document import Seen
from orchestration.explanation.trained import ExplanationError, Trained

if TYPE_CHECKING:
    from models.encoders.base import Tokens

Progress = Callable[[str, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Clip:
    """What a fusion is shown of a clip, and the clip itself."""

    seen: Seen
    frames: np.ndarray
    """uint8 [T, H, W, 3]"""
    tokens: "dict[str, Tokens]"
    """Encoder -> its tokens of this one clip, of the encoders that the arm reads."""


def read_clip(given: str, trained: Trained, progress: Progress) -> Clip:
    """The clip of a file or of an id.

    Raises:
        ExplanationError: neither a file nor a held-out clip, or a file that cannot be used.
        FeatureError: the held-out clip's tokens are of other encoders or code.
    """
    path, shards = Path(given).expanduser(), trained.inputs.shards
    if path.is_file():
        return _of_file(path, trained, progress)
    held_out = shards.ids("heldout")
    if given in held_out:
        return _held_out(given, trained)
    if given in shards.ids("train"):
        raise ExplanationError(f"{given}: a clip that was trained on; give a held-out one, as {held_out[0]}")
    first = f"as {held_out[0]}" if held_out else "of which there is none"
    raise ExplanationError(f"{given}: no such file, and no held-out clip of {trained.job.dataset}; give one, {first}")


def _of_file(path: Path, trained: Trained, progress: Progress) -> Clip:
    import torch

    from models.data import file_sha256
    from models.data.decoding import Decoder
    from models.data.video import ClipError, Limits, cuts
    from models.encoders.base import Tokens
    from models.encoders.stored import tokens_of
    from orchestration.stages.parameters import section

    settings = trained.inputs.shards.settings
    length, size = settings["frames"], settings["size"]
    try:
        with Decoder(Limits(min_frames=length)) as decoder:
            film = decoder.film(path, size)
    except ClipError as error:
        raise ExplanationError(f"{path}: {error}; give a video of {length} frames or more") from error
    taken = cuts(len(film.frames), length, settings["stride"], 1)[0]
    frames, tokens = film.frames[taken], {}
    for done, name in enumerate(trained.reads):
        stride = section(name, trained.job.workspace).get("stride", 1)
        made = tokens_of(trained.inputs.encoder(name, stride=stride))(frames[None])
        values, positions, mask = (torch.from_numpy(made[part]) for part in ("tokens", "positions", "mask"))
        tokens[name] = Tokens(values.float(), positions.float()[None], mask)
        progress(f"encoded by {name}", done + 1, len(trained.reads), {})
    seen = Seen(
        name=path.name,
        source="file",
        sha256=file_sha256(path),
        frames=length,
        size=size,
        first_frame=taken.start,
        stride=taken.step,
    )
    return Clip(seen, frames, tokens)


def _held_out(clip: str, trained: Trained) -> Clip:
    from models.training.stores import token_source

    shards = trained.inputs.shards
    row = shards.index.set_index("clip_id").loc[clip]
    seen = Seen(
        name=clip,
        source="held-out",
        sha256=str(row["sha256"]),
        frames=shards.settings["frames"],
        size=shards.settings["size"],
        first_frame=int(row["first_frame"]),
        stride=int(row["stride"]),
    )
    tokens = {name: token_source(trained.inputs.store(name)).tokens([clip]) for name in trained.reads}
    return Clip(seen, shards.frames([clip])[0], tokens)
