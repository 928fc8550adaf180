"""What a job trains: its data read and its frozen networks loaded once, then one arm after another.

Imports torch: whoever only plans a training leaves this alone.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from models.training import phase1, phase2, phase3
from models.training.config import LoopConfig
from models.training.data import TrainingData
from models.training.loop import Kept, Left, Progress, TrainResult, unkept
from models.training.parallel import ALONE, Workers
from orchestration.jobs import Job
from orchestration.stages.inputs import Inputs
from orchestration.stages.training import checkpoint


class Recipe:
    """One phase of one job, on this machine."""

    def __init__(self, job: Job) -> None:
        if job.profile.threads:
            torch.set_num_threads(job.profile.threads)
        self.job, self.inputs = job, Inputs(job)

    def train(
        self,
        arm: str,
        out: Path,
        progress: Progress,
        left: Left,
        *,
        kept: Kept = unkept,
        workers: Workers = ALONE,
    ) -> TrainResult:
        """Train an arm in `out`, or go on there; by itself, or as one of several workers.

        Raises:
            OutOfTime, NonFiniteError, CheckpointError, WriteError, FirstWorkerError, WorkerLost: see the loop.
        """
        given: dict[str, Any] = {"left": left, "kept": kept, "workers": workers}
        phase = {1: self._phase1, 2: self._phase2, 3: self._phase3}[self.job.phase]
        return phase(arm, out, progress, given)

    def _phase1(self, arm: str, out: Path, progress: Progress, given: dict[str, Any]) -> TrainResult:
        config = phase1.Phase1Config(fusion=self.inputs.fusion(), loop=self.loop)
        return phase1.run(config, self.data, out, progress, **given, **self._seen_through)

    def _phase2(self, arm: Any, out: Path, progress: Progress, given: dict[str, Any]) -> TrainResult:
        start = checkpoint(self.job.inputs["phase1"])
        config = phase2.Phase2Config(fusion=self.inputs.fusion(), arm=arm, loop=self.loop)
        return phase2.run(config, self.data, out, progress, start=start, **given, **self._seen_through)

    def _phase3(self, arm: str, out: Path, progress: Progress, given: dict[str, Any]) -> TrainResult:
        profile, start = self.job.profile, checkpoint(self.job.inputs["phase2"], arm)
        config = phase3.Phase3Config(
            fusion=self.inputs.fusion(),
            loop=self.loop,
            arm=arm,
            routes=profile.routes.opened(),
            lora_rank=profile.lora.rank,
            gradient_checkpointing=profile.lora.gradient_checkpointing,
        )
        return phase3.run(config, self.data, out, progress, start=start, generator=self.inputs.generator, **given)

    @property
    def loop(self) -> LoopConfig:
        """As the profile has it; its batch is that of all workers together."""
        profile = self.job.profile
        precision = "bf16" if profile.device == "cuda" else "fp32"
        recipe = profile.training(self.job.phase).model_dump()
        return LoopConfig(**recipe, device=profile.device, precision=precision, readers=profile.readers)

    @cached_property
    def data(self) -> TrainingData:
        """What it learns from, every byte checked."""
        train, heldout = self.inputs.ids("train"), self.inputs.ids("heldout")
        return self.inputs.training(train, heldout, captions=self.job.phase > 1)

    @property
    def _seen_through(self) -> dict[str, Any]:
        return {"vae": self.inputs.vae, "perceptual": self.inputs.perceptual}
