"""Phase 2, semantic integration (§1.4): the VLM joins, and the queries without a place learn to say what happens.

Three arms answer §4.4's question, whether the hybrid exceeds each stream alone. They have the same parameters, tokens,
steps, first weights and batch order; what an arm does not see is the fusion's learned null.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from models.data.part import Part
from models.fusion.config import FusionConfig
from models.training.config import ConfigError, LoopConfig
from models.training.data import Batch, TrainingData, read_batch
from models.training.interference import gradient_cosine
from models.training.loop import Kept, Left, Progress, TrainResult, silent, train, unkept, unlimited
from models.training.losses import Perceptual, caption
from models.training.objective import Decoder, ObjectiveConfig, Reconstruction
from models.training.parallel import ALONE, Workers
from models.training.recipe import FusionTask, gate_numbers, identity_of, new_fusion


@dataclass(frozen=True)
class Phase2Config:
    """Phase 2's run of one arm."""

    fusion: FusionConfig
    arm: Literal["hybrid", "vlm_only", "dino_only"] = "hybrid"
    loop: LoopConfig = field(default_factory=LoopConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    caption_weight: float = 2.0
    """Of the caption tokens' distance to the text encoder's."""
    heldout_every: int = 50
    heldout_clips: int = 16
    interference_every: int = 20
    """Steps between looks at how the streams' losses pull at the fusion, and at its gates (§4.1); 0 never looks."""
    interference_clips: int = 8
    """The first clips to train on: the same each time, so that the numbers compare."""

    def __post_init__(self) -> None:
        if not self.fusion.semantic_queries:
            raise ConfigError("phase2: the fusion has no semantic queries, so nothing can learn the captions")


class _Phase2(FusionTask):
    def __init__(self, config: Phase2Config, data: TrainingData, objective: Reconstruction, start: Path | None) -> None:
        fusion = new_fusion(config.fusion, data, config.arm, config.loop.seed, config.loop.device)
        every, clips = config.heldout_every, config.heldout_clips
        super().__init__(f"phase2 {config.arm}", fusion, data, config.arm, start=start, every=every, clips=clips)
        self.config, self.objective = config, objective

    def load(self, ids: Sequence[str], step: int, part: Part | None = None) -> Batch:
        decoded = self.objective.config.decoded(step) if step >= 0 else 0
        return read_batch(self.data, ids, arm=self.arm, captions=True, frames=decoded, part=part)

    def loss(self, batch: Batch, step: int, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        batch = batch.to(self.device)
        conditioning = self.conditioning(batch)
        total, terms = self.objective(conditioning, batch)
        assert batch.captions is not None
        terms["caption"] = batch.share * caption(conditioning.semantic_tokens, batch.captions, batch.caption_square)
        return total + self.config.caption_weight * terms["caption"], terms

    def watch(self, step: int) -> dict[str, float]:
        """Also the gradients' cosine, of every arm: one with a single stream says what of it the losses alone do."""
        every = self.config.interference_every
        return super().watch(step) | (self._interference() if every and step % every == 0 else {})

    def _interference(self) -> dict[str, float]:
        batch = self.load(self.data.ids[: self.config.interference_clips], -1).to(self.device)
        self.fusion.eval()
        conditioning = self.conditioning(batch)
        self.fusion.train()
        _, terms = self.objective(conditioning, batch)
        assert batch.captions is not None
        said = caption(conditioning.semantic_tokens, batch.captions)
        return gradient_cosine(self.fusion, terms["latent"], said) | gate_numbers(self.fusion)

    def measure(self, batch: Batch) -> dict[str, float]:
        assert batch.captions is not None
        said = self.conditioning(batch).semantic_tokens
        return super().measure(batch) | {"heldout_caption": caption(said, batch.captions).item()}


def run(
    config: Phase2Config,
    data: TrainingData,
    out_dir: Path,
    progress: Progress = silent,
    *,
    left: Left = unlimited,
    kept: Kept = unkept,
    workers: Workers = ALONE,
    start: Path | None = None,
    vae: Decoder | None = None,
    perceptual: Perceptual | None = None,
) -> TrainResult:
    """Train, or resume, one arm in `out_dir`, from Phase 1's checkpoint `start` or from the seed's weights."""
    task = _Phase2(config, data, Reconstruction(config.objective, vae, perceptual), start)
    return train(task, config.loop, data.ids, identity_of(config, data, start), out_dir, progress, left, kept, workers)
