"""Phase 3, the full system (§1.4): flow matching with LoRA in the LTX transformer, the fusion following more slowly.

The fusion's latent tokens say where, its caption tokens what, each by the routes that are open (design §4.5). A learned
null now and then stands in for the caption tokens, so that the decoder also knows the unguided answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter

from models.decoder.conditions import by_route
from models.decoder.routes import Routes
from models.fusion.conditioning import Conditioning, cells_of
from models.fusion.config import FusionConfig
from models.training import checkpoint
from models.training.config import ConfigError, LoopConfig
from models.training.data import Batch, TrainingData
from models.training.flow import QUANTILES, by_bucket, draw_sigma, mix, quantile_sigma
from models.training.generator import NULL, Generator, new_adapters, take_adapters
from models.training.loop import Kept, Left, Progress, TrainResult, silent, train, unkept, unlimited
from models.training.losses import latent_huber, velocity
from models.training.parallel import ALONE, Workers
from models.training.recipe import FusionTask, identity_of, new_fusion

LORA_FOLDER = "lora"
"""Of a finished run, beside its checkpoints: the adapters in diffusers' format."""


@dataclass(frozen=True)
class Phase3Config:
    """Phase 3's run. The fusion's sizes are those of the checkpoint it starts from."""

    fusion: FusionConfig
    loop: LoopConfig = field(default_factory=LoopConfig)
    arm: str = "hybrid"
    routes: Routes = field(default_factory=Routes)
    lora_rank: int = 16
    fusion_rate: float = 0.1
    """Learning rate of the fusion as a fraction of the adapters'."""
    condition_dropout: float = 0.1
    """Chance that a clip's caption tokens are the learned null, for guidance."""
    latent_weight: float = 0.1
    """Of Phase 1's latent term, which keeps the fusion's tokens latents."""
    gradient_checkpointing: bool = False
    """Compute the generator's activations again in the backward pass: less memory, more time."""
    heldout_every: int = 50
    heldout_clips: int = 16

    def __post_init__(self) -> None:
        if not 0 <= self.condition_dropout < 1 or self.lora_rank < 1 or self.fusion_rate < 0:
            raise ConfigError("phase3: condition_dropout must lie in 0..1, lora_rank be at least 1, fusion_rate >= 0")
        if not self.fusion.semantic_queries:
            raise ConfigError("phase3: the fusion has no semantic queries, so the decoder is not told what happens")


class GenerationTask(FusionTask):
    """Flow matching by a generator with adapters, under a fusion's conditioning."""

    def __init__(
        self, config: Phase3Config, data: TrainingData, generator: Generator, start: Path, name: str = "phase3"
    ) -> None:
        fusion = new_fusion(config.fusion, data, config.arm, config.loop.seed, config.loop.device)
        every, clips = config.heldout_every, config.heldout_clips
        super().__init__(name, fusion, data, config.arm, start=start, every=every, clips=clips)
        self.config, self.generator = config, generator
        self.lora = new_adapters(generator, config.lora_rank, config.loop.seed, self.device)
        if config.gradient_checkpointing:
            generator.enable_gradient_checkpointing()
        null = torch.zeros(config.fusion.semantic_queries, config.fusion.caption_channels, device=self.device)
        self.null = Parameter(null)

    def parameters(self) -> Mapping[str, Parameter]:
        return {**super().parameters(), **self.lora, NULL: self.null}

    def rates(self) -> Mapping[str, float]:
        return {"fusion.": self.config.fusion_rate}

    def loss(self, batch: Batch, step: int, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        batch = batch.to(self.device)
        conditioning = self.conditioning(batch)
        # Drawn for the whole batch, whoever has its clips: with other workers it sees the same noise.
        levels = draw_sigma(batch.clips, self.generator.shift, noise)
        chance = torch.rand(batch.clips, generator=noise, device=noise.device)
        sigma, dropped = batch.own(levels), batch.own(chance) < self.config.condition_dropout
        said = torch.where(dropped[:, None, None], self.null, conditioning.semantic_tokens.to(self.null.dtype))
        losses = self._flow(batch, conditioning, said, sigma, noise)
        latent = batch.share * latent_huber(conditioning.latent_tokens, cells_of(batch.latents))
        terms = {"flow": batch.share * losses.mean(), "latent": latent, **by_bucket(losses.detach(), sigma, levels)}
        return terms["flow"] + self.config.latent_weight * latent, terms

    def measure(self, batch: Batch) -> dict[str, float]:
        """Flow loss at fixed noise levels with fixed noise: comparable from step to step and from run to run."""
        conditioning, shift = self.conditioning(batch), self.generator.shift
        numbers = {}
        for quantile in QUANTILES:
            noise = torch.Generator(self.device).manual_seed(0)
            sigma = torch.full((len(batch.ids),), quantile_sigma(quantile, shift), device=self.device)
            losses = self._flow(batch, conditioning, conditioning.semantic_tokens, sigma, noise)
            numbers[f"heldout_flow_{quantile:.1f}"] = losses.mean().item()
        return {**numbers, "heldout_flow": sum(numbers.values()) / len(numbers)} | super().measure(batch)

    def where(self, batch: Batch, conditioning: Conditioning) -> Tensor:
        """Latents [B, C, T', h, w] that the generator is given as *where*."""
        return conditioning.latents()

    def _flow(
        self, batch: Batch, conditioning: Conditioning, said: Tensor, sigma: Tensor, noise: torch.Generator
    ) -> Tensor:
        true = self.generator.pack(batch.latents)
        drawn = torch.randn((batch.clips, *true.shape[1:]), generator=noise, device=noise.device)
        noisy, target = mix(true, batch.own(drawn), sigma)
        where = self.generator.pack(self.where(batch, conditioning))
        conditions = by_route(self.config.routes, where, said, self.null)
        return velocity(self.generator.velocity(noisy, sigma, conditions), target)


def run(
    config: Phase3Config,
    data: TrainingData,
    out_dir: Path,
    progress: Progress = silent,
    *,
    left: Left = unlimited,
    kept: Kept = unkept,
    workers: Workers = ALONE,
    generator: Generator,
    start: Path,
) -> TrainResult:
    """Train, or resume, Phase 3 in `out_dir` from Phase 2's checkpoint `start`.

    The generator must be fresh from its weights: it gets its adapters here, and they are trained in place. At the end
    they are those of the last checkpoint, averaged where the run keeps averages, also in `out_dir`/lora.
    """
    task = GenerationTask(config, data, generator, start)
    identity = identity_of(config, data, start)
    result = train(task, config.loop, data.ids, identity, out_dir, progress, left, kept, workers)
    if workers.first:
        take_adapters(checkpoint.read(result.checkpoint), generator)
        generator.save_lora(out_dir / LORA_FOLDER)
    return result
