"""What a training or an evaluation reads: the shards and feature stores of a job's workspace, and its frozen
networks.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from models.data.features import FeatureStore
from models.data.shards import ClipShards
from models.fusion.config import FusionConfig
from models.training.data import TrainingData, pool
from models.training.stores import training_data
from orchestration.jobs import Job, JobError
from orchestration.stages.tokens import open_store


@dataclass(frozen=True)
class Inputs:
    """The inputs of one job; each network is loaded once, when it is first asked for."""

    job: Job

    @cached_property
    def shards(self) -> ClipShards:
        """The clips."""
        return ClipShards(self.job.workspace / "shards")

    def store(self, stage: str) -> FeatureStore:
        """The feature store of a stage."""
        return open_store(self.job.workspace, stage, self.shards)

    def ids(self, split: str) -> list[str]:
        """The clips of a split."""
        ids = self.shards.ids(split)
        if not ids:
            raise JobError(
                f"{self.job.workspace}: no {split} clip among {len(self.shards.ids())}; give the dataset some"
            )
        return ids

    def training(self, train: Sequence[str], held_out: Sequence[str], *, captions: bool) -> TrainingData:
        """The readers that the recipes take.

        Raises:
            ShardError, FeatureError: a byte of what they would read is not as it was written.
        """
        latents, spatial, semantic = (self.store(stage) for stage in ("latents", "dinov2", "qwen"))
        for stored in (self.shards, latents, spatial, semantic):
            stored.verify()
        return training_data(
            self.shards,
            train,
            held_out,
            latents=latents,
            spatial=spatial,
            semantic=semantic,
            captions=self._captions([*train, *held_out]) if captions else None,
        )

    def fusion(self) -> FusionConfig:
        """Widths and grids as the data has them, dim and depth as the profile says."""
        some = self.shards.ids()[:1]
        spatial, semantic = self.store("dinov2").read(some), self.store("qwen").read(some)
        _, channels, frames, rows, columns = self.store("latents").read(some, "latents").shape
        return FusionConfig(
            spatial_dim=spatial.shape[-1],
            semantic_dim=semantic.shape[-1],
            latent_channels=channels,
            caption_channels=self._caption_channels(),
            latent_frames=frames,
            latent_grid=(rows, columns),
            spatial_grid=_square(spatial.shape[2]),
            semantic_grid=_square(semantic.shape[2]),
            **self.job.profile.fusion.choices(),
        )

    @cached_property
    def vae(self) -> Any:
        """The decoder's autoencoder."""
        from models.decoder.vae import LTXVae

        return self._there(LTXVae.load(self._folder("vae")))

    @cached_property
    def generator(self) -> Any:
        """The LTX transformer; its text encoder is `text`."""
        from models.decoder.grid import VideoGrid
        from models.decoder.ltx import LTXGenerator

        frames, size = self.job.profile.clips.frames, self.job.profile.clips.size
        length, rows, columns = self.vae.geometry.shape(frames, size, size)
        grid = VideoGrid(length, rows, columns, self.vae.geometry)
        return self._there(LTXGenerator.load(self._folder("ltx"), grid))

    def text(self) -> Any:
        """A fresh text encoder of LTX's: larger than the transformer, so nobody holds it longer than captions need."""
        from models.decoder.captions import CaptionEncoder

        return self._there(CaptionEncoder.load(self._folder("ltx")))

    @cached_property
    def qwen(self) -> Any:
        """The vision-language model, as captioner."""
        return self.encoder("qwen", stride=1)

    def encoder(self, name: str, *, stride: int) -> Any:
        """A frozen encoder of the profile."""
        from models.encoders.registry import load_encoder

        precision = getattr(self.job.profile.weights, name).precision
        return self._there(load_encoder(name, self._folder(name), stride=stride, precision=precision))

    @cached_property
    def perceptual(self) -> Any:
        """LPIPS (AlexNet), differentiable."""
        from models.evaluation.lpips import Lpips

        return self._there(Lpips("alex"))

    def captions(self, ids: Sequence[str]) -> list[str]:
        """The dataset's captions; a clip without one is captioned by the VLM."""
        table: dict[str, Any] = dict(zip(self.shards.index["clip_id"], self.shards.index["caption"], strict=True))
        said = [table[clip] if isinstance(table[clip], str) and table[clip] else None for clip in ids]
        silent = [clip for clip, caption in zip(ids, said, strict=True) if caption is None]
        made = dict(zip(silent, self.caption(self.shards.frames(silent)), strict=True)) if silent else {}
        return [caption or made[clip] for clip, caption in zip(ids, said, strict=True)]

    def told(self, ids: Sequence[str]) -> list[str] | None:
        """The dataset's captions, if every one of these clips has one."""
        table = dict(zip(self.shards.index["clip_id"], self.shards.index["caption"], strict=True))
        said = [table[clip] for clip in ids]
        return said if all(isinstance(caption, str) and caption for caption in said) else None

    def seen(self, frames: np.ndarray) -> np.ndarray:
        """The VLM's tokens of uint8 [N, T, H, W, 3]: float32 [N, T', n, D]."""
        import torch

        size, clips = self.job.profile.evaluation.batch, torch.from_numpy(np.ascontiguousarray(frames))
        parts = [self.qwen(some.to(self.job.profile.device)).tokens.float().cpu() for some in clips.split(size)]
        return torch.cat(parts).numpy()

    def caption(self, frames: np.ndarray) -> list[str]:
        """The VLM's captions of uint8 [N, T, H, W, 3]; what it said of the same clips before is not asked again."""
        import torch

        from orchestration.stages.known import known

        size, clips = self.job.profile.evaluation.batch, torch.from_numpy(np.ascontiguousarray(frames))
        said = known(
            self.job,
            "captions",
            "models/encoders",
            "models/frozen.py",
            weights=self.qwen.weights_sha256,
            precision=self.job.profile.weights.qwen.precision,
            batch=size,
        )

        def captions() -> list[str]:
            return [text for some in clips.split(size) for text in self.qwen.caption(some.to(self.job.profile.device))]

        return said.rows([said.key(clip) for clip in frames], captions)

    def _captions(self, ids: Sequence[str]) -> Any:
        """A reader of pooled caption embeddings, made once for all clips: T5 over short texts is quick.

        Training needs neither network again, and no room beside both: each goes when its part is done.
        """
        texts, size = self.captions(ids), 64
        self.__dict__.pop("qwen", None)
        text = self.text()
        queries = self.job.profile.fusion.choices().get("semantic_queries", FusionConfig.semantic_queries)
        parts = []
        for start in range(0, len(texts), size):
            embeddings, mask = text(texts[start : start + size])
            parts.append(pool(embeddings.float().cpu().numpy(), mask.cpu().numpy(), queries))
        table, places = np.concatenate(parts), {clip: row for row, clip in enumerate(ids)}
        return lambda wanted: table[[places[clip] for clip in wanted]]

    def _caption_channels(self) -> int:
        """Width of the decoder's caption embeddings, as its configuration says: Phase 1 needs no more of it."""
        return json.loads((self._folder("ltx") / "transformer" / "config.json").read_text())["caption_channels"]

    def _folder(self, name: str) -> Path:
        return self.job.profile.weights.folder(name)

    def _there(self, network: Any) -> Any:
        return network.to(self.job.profile.device)


def _square(tokens: int) -> tuple[int, int]:
    """Frames are square at ingest, so token grids are."""
    side = isqrt(tokens)
    if side * side != tokens:
        raise JobError(f"{tokens} tokens a frame are no square grid; clips are square at ingest")
    return side, side
