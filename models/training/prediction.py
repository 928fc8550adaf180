"""Training of a predictor (§1.5; C3, Q5): Phase 3's objective where the encoders see the context frames alone.

The generator is given the context's latents as they are and, for the frames to come, the fusion's latent tokens. It
learns to draw the whole clip, so what it draws of the future is a prediction: nothing of the future went in. Tokens
were made of the context frames and of nothing else; the VAE's encoder is causal, so the first latent frames of a clip
are those of its context alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.fusion.conditioning import Conditioning
from models.fusion.config import FusionConfig
from models.training import checkpoint
from models.training.config import ConfigError
from models.training.data import Batch, TokenSource, TrainingData
from models.training.generator import NULL, Generator, take_adapters
from models.training.horizon import Horizon, copied, errors_ahead, extrapolated, padded, with_context
from models.training.loop import Left, Progress, TrainResult, silent, train, unlimited
from models.training.phase3 import LORA_FOLDER, GenerationTask, Phase3Config
from models.training.recipe import identity_of


@dataclass(frozen=True)
class PredictionConfig(Phase3Config):
    """A predictor's run. Its horizon is part of what it is: it foretells these frames from those, and no others."""

    horizon: Horizon = field(kw_only=True)
    fusion_rate: float = 1.0
    """As fast as the adapters: the fusion was shown whole clips before, and has to learn what it is to foretell."""
    latent_weight: float = 1.0
    """Of the fusion's own latents: a reminder in Phase 3, here the prediction that the generator is given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.horizon.latent_frames != self.fusion.latent_frames:
            raise ConfigError(
                f"prediction: a horizon of {self.horizon.latent_frames} latent frames and a fusion of "
                f"{self.fusion.latent_frames}; give both the same clips"
            )


class _Prediction(GenerationTask):
    def __init__(self, config: PredictionConfig, data: TrainingData, generator: Generator, start: Path) -> None:
        self.horizon = config.horizon
        super().__init__(config, at_full_length(data, config.fusion), generator, start, "predictor")

    def begin(self) -> None:
        """Start at Phase 3's weights: fusion, adapters and null."""
        super().begin()
        assert self.start is not None
        found = checkpoint.read(self.start)
        if NULL not in found.weights():
            raise checkpoint.CheckpointError(f"{self.start} is not of Phase 3: it holds no adapters; start from one")
        take_adapters(found, self.generator)
        with torch.no_grad():
            self.null.copy_(found.weights()[NULL])

    def where(self, batch: Batch, conditioning: Conditioning) -> Tensor:
        return with_context(conditioning.latents(), batch.latents[:, :, : self.horizon.known])

    def measure(self, batch: Batch) -> dict[str, float]:
        """Also the error of the fusion's future and of the two baselines that need no model."""
        known, true = self.horizon.known, batch.latents
        foretold = {"future": self.conditioning(batch).latents(), "copy_last": copied(true, known)}
        foretold["extrapolated"] = extrapolated(true, known)
        errors = {name: errors_ahead(made, true, known).mean().item() for name, made in foretold.items()}
        return super().measure(batch) | {f"heldout_latent_{name}": error for name, error in errors.items()}


def at_full_length(data: TrainingData, sizes: FusionConfig) -> TrainingData:
    """Tokens of context frames with masked steps after them, as many as a fusion of these sizes reads of a clip."""
    spatial = data.spatial and _padded(data.spatial, sizes.latent_frames)
    return replace(data, spatial=spatial, semantic=data.semantic and _padded(data.semantic, sizes.semantic_frames))


def _padded(source: TokenSource, steps: int) -> TokenSource:
    """A source of the context's tokens, as long as the whole clip's."""

    def mask(ids: Sequence[str]) -> np.ndarray:
        there = np.ones((len(ids), *source.positions.shape[:2]), bool) if source.mask is None else source.mask(ids)
        return padded(there, steps)

    return TokenSource(lambda ids: padded(source.read(ids), steps), padded(source.positions, steps, 0), mask)


def run(
    config: PredictionConfig,
    data: TrainingData,
    out_dir: Path,
    progress: Progress = silent,
    *,
    left: Left = unlimited,
    generator: Generator,
    start: Path,
) -> TrainResult:
    """Train, or resume, a predictor in `out_dir` from Phase 3's checkpoint `start`.

    Args:
        data: its tokens are those of the context frames, its latents those of the whole clips.
        generator: fresh from its weights; it gets its adapters here, and they are trained in place.

    Raises:
        CheckpointError: `start` is not of Phase 3.
    """
    task = _Prediction(config, data, generator, start)
    result = train(task, config.loop, data.ids, identity_of(config, data, start), out_dir, progress, left)
    take_adapters(checkpoint.read(result.checkpoint), generator)
    generator.save_lora(out_dir / LORA_FOLDER)
    return result
