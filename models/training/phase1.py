"""Phase 1, spatial reconstruction (§1.4): can the spatial stream alone give the latents back? The VLM is bypassed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from models.data.part import Part
from models.fusion.config import FusionConfig
from models.training.config import LoopConfig
from models.training.data import Batch, TrainingData, read_batch
from models.training.loop import Kept, Left, Progress, TrainResult, silent, train, unkept, unlimited
from models.training.losses import Perceptual
from models.training.objective import Decoder, ObjectiveConfig, Reconstruction
from models.training.parallel import ALONE, Workers
from models.training.recipe import FusionTask, identity_of, new_fusion


@dataclass(frozen=True)
class Phase1Config:
    """Phase 1's run."""

    fusion: FusionConfig
    loop: LoopConfig = field(default_factory=LoopConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    heldout_every: int = 50
    """Steps between looks at held-out clips."""
    heldout_clips: int = 16


class _Phase1(FusionTask):
    def __init__(self, config: Phase1Config, data: TrainingData, objective: Reconstruction) -> None:
        fusion = new_fusion(config.fusion, data, "dino_only", config.loop.seed, config.loop.device)
        every, clips = config.heldout_every, config.heldout_clips
        super().__init__("phase1", fusion, data, "dino_only", start=None, every=every, clips=clips)
        self.objective = objective

    def load(self, ids: Sequence[str], step: int, part: Part | None = None) -> Batch:
        decoded = self.objective.config.decoded(step) if step >= 0 else 0
        return read_batch(self.data, ids, arm=self.arm, frames=decoded, part=part)

    def loss(self, batch: Batch, step: int, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        batch = batch.to(self.device)
        return self.objective(self.conditioning(batch), batch)


def run(
    config: Phase1Config,
    data: TrainingData,
    out_dir: Path,
    progress: Progress = silent,
    *,
    left: Left = unlimited,
    kept: Kept = unkept,
    workers: Workers = ALONE,
    vae: Decoder | None = None,
    perceptual: Perceptual | None = None,
) -> TrainResult:
    """Train, or resume, Phase 1 in `out_dir`. The VAE and the perceptual net are frozen and only looked through."""
    task = _Phase1(config, data, Reconstruction(config.objective, vae, perceptual))
    return train(task, config.loop, data.ids, identity_of(config, data), out_dir, progress, left, kept, workers)
