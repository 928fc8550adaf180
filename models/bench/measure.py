"""Where the time of an evaluation goes, family by family, and how often each network looks at a frame."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from models.bench import workspace
from models.data.shards import ClipShards
from models.decoder.vae import LTXVae, to_uint8
from models.encoders.registry import load_encoder
from models.evaluation.baselines import copy_last, mean_frame, shuffled
from models.evaluation.evaluate import FAMILIES, Reference
from models.evaluation.fvd import fvd, logits
from models.evaluation.i3d import I3D
from models.evaluation.known import Known
from models.evaluation.lpips import Lpips, clip_lpips
from models.evaluation.metric import bootstrap
from models.evaluation.segmenter import Segmenter
from models.evaluation.semantic import SentenceEmbedder, semantic_consistency, shuffled_consistency
from models.standins import shelf

Progress = Callable[[str, int, int, dict[str, float]], None]
Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Looks:
    """How often one network or filter was asked for something, and how often it had to look."""

    given: int
    looked: int
    different: int
    """Of those given; more looks than these mean that one was looked at twice."""


@dataclass
class MeasureFigure:
    """One evaluation of generated clips: one arm and four baselines."""

    clips: int
    sets: tuple[str, ...]
    few: int
    """Clips behind the second LPIPS and behind FVD, as in a profile's evaluation."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each family."""
    looks: dict[str, Looks] = field(default_factory=dict)

    @property
    def clips_per_s(self) -> float:
        """Generated clips, of all sets together."""
        return self.clips * len(self.sets) / sum(self.seconds.values())

    @property
    def once(self) -> bool:
        """Whether nothing was looked at twice."""
        return all(one.looked <= one.different for one in self.looks.values())

    @contextmanager
    def timed(self, family: str) -> Iterator[None]:
        """Add what is done inside to a family's seconds."""
        began = time.perf_counter()
        yield
        self.seconds[family] = self.seconds.get(family, 0.0) + time.perf_counter() - began


def measure(clips: int = 32, few: int = 8, progress: Progress = lambda *_: None) -> MeasureFigure:
    """Evaluate the VAE's round trip as an arm, beside its own clips shuffled and the baselines that need no model.

    Raises:
        WeightsError: the weights of a metric are not fetched.
    """
    vgg, network, embedder = Lpips("vgg"), I3D(), SentenceEmbedder()
    vae, vlm = LTXVae.load(shelf.folder("vae")), load_encoder("qwen", shelf.folder("qwen"), stride=1)
    with TemporaryDirectory() as folder:
        shards = workspace.shards(Path(folder), clips)
        ids = shards.ids("train")
        true, masks = shards.frames(ids), shards.masks(ids)
        asked = _Captions(vlm, Path(folder) / "known.db")
        figure = MeasureFigure(clips, ("round trip", "shuffled", "copy of last frame", "mean frame"), few)
        with figure.timed("VAE decodes"):
            made = _round_trip(vae, shards, ids)
        sets = dict(zip(figure.sets, (made, shuffled(made), copy_last(true), mean_frame(true)), strict=True))
        segmenter = Segmenter.load(shelf.folder("segmenter"))
        reference, parts = Reference(true, Lpips("alex"), masks=masks, segmenter=segmenter), []
        with figure.timed("captions"):
            said = {name: asked(shown) for name, shown in {"true": true, **sets}.items()}
        for done, (name, shown) in enumerate(sets.items()):
            values: Values = {}
            for family, measured in FAMILIES.items():
                with figure.timed(family):
                    values |= measured(reference, shown)
            with figure.timed("caption embeddings"):
                both = embedder.embed(said[name]), embedder.embed(said["true"])
                values |= {"semantic_consistency": semantic_consistency(*both), "null": shuffled_consistency(*both)}
            parts.append(values)
            progress(f"metrics of {name}", done + 1, len(sets), {})
        with figure.timed("LPIPS (vgg)"):
            parts.append({"lpips_vgg": clip_lpips(vgg, true[:few], made[:few])})
        with figure.timed("FVD"):
            fvd(logits(network, true[:few], progress), logits(network, made[:few], progress), resamples=20)
        with figure.timed("intervals"):
            for value in (value for values in parts for value in values.values()):
                bootstrap(value)
    frames = np.concatenate([true, *sets.values()]).reshape(-1, true[0][0].size)
    different = len(np.unique(frames, axis=0))
    figure.looks = {what: Looks(seen.given, seen.looked, different) for what, seen in reference.seen.items()}
    several = np.concatenate([true, *sets.values()])
    figure.looks["captions (clips)"] = Looks(
        len(several), asked.asked, len(np.unique(several.reshape(len(several), -1), axis=0))
    )
    return figure


def _round_trip(vae: LTXVae, shards: ClipShards, ids: list[str]) -> np.ndarray:
    parts = []
    with torch.no_grad():
        for first in range(0, len(ids), workspace.BATCH):
            shown = torch.from_numpy(shards.frames(ids[first : first + workspace.BATCH]))
            parts.append(to_uint8(vae.decode(vae.encode(shown))).numpy())
    return np.concatenate(parts)


class _Captions:
    """The VLM's captions, as an evaluation asks for them; counts the clips that the VLM was shown."""

    def __init__(self, vlm: Any, path: Path) -> None:
        self.vlm, self.known, self.asked = vlm, Known(path, "benchmark"), 0

    def __call__(self, clips: np.ndarray) -> list[str]:
        return self.known.rows([self.known.key(clip) for clip in clips], lambda: self._made(clips))

    def _made(self, clips: np.ndarray) -> list[str]:
        self.asked += len(clips)
        parts = torch.from_numpy(clips).split(workspace.BATCH)
        return [text for part in parts for text in self.vlm.caption(part)]
