"""A small world for the training tests: features with an answer in them, a frozen VAE, a generator with adapters."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.decoder.conditions import Conditions
from models.encoders.base import grid_positions
from models.fusion.conditioning import cells_of
from models.fusion.config import FusionConfig
from models.training.config import LoopConfig
from models.training.data import Reader, TokenSource, TrainingData

CLIPS, FRAMES, SIDE, CHANNELS, CAPTION = 12, 2, 4, 4, 8
FUSION = FusionConfig(
    spatial_dim=12,
    semantic_dim=10,
    latent_channels=CHANNELS,
    caption_channels=CAPTION,
    latent_frames=FRAMES,
    latent_grid=(SIDE, SIDE),
    spatial_grid=(SIDE, SIDE),
    semantic_grid=(2, 2),
    semantic_frames=FRAMES,
    dim=32,
    heads=4,
    layers=2,
    semantic_queries=2,
    semantic_rank=16,
)


def loop(**choices) -> LoopConfig:
    return LoopConfig(**{"steps": 6, "batch": 4, "warmup": 2, "learning_rate": 3e-3, "checkpoint_every": 3, **choices})


def reader(values: np.ndarray) -> Reader:
    return lambda ids: values[[int(i) for i in ids]]


def data() -> TrainingData:
    """Latents are a linear map of the spatial token of their cell, captions one of the mean VLM token."""
    rng = np.random.default_rng(0)
    spatial = rng.standard_normal((CLIPS, FRAMES, SIDE * SIDE, 12)).astype(np.float16)
    semantic = rng.standard_normal((CLIPS, FRAMES, 4, 10)).astype(np.float16)
    cells = spatial.astype(np.float32) @ rng.standard_normal((12, CHANNELS)).astype(np.float32) / 12**0.5
    latents = cells.reshape(CLIPS, FRAMES, SIDE, SIDE, CHANNELS).transpose(0, 4, 1, 2, 3).astype(np.float16)
    said = semantic.mean((1, 2)).astype(np.float32) @ rng.standard_normal((10, 2 * CAPTION)).astype(np.float32)
    return TrainingData(
        ids=[str(i) for i in range(CLIPS - 2)],
        held_out=[str(i) for i in range(CLIPS - 2, CLIPS)],
        latents=reader(latents),
        spatial=TokenSource(reader(spatial), places(SIDE)),
        semantic=TokenSource(reader(semantic), places(2)),
        captions=reader(said.reshape(CLIPS, 2, CAPTION)),
        frames=reader(rng.integers(0, 256, (CLIPS, 3, 8, 8, 3), dtype=np.uint8)),
        fingerprints={"spatial": "toy"},
    )


def places(side: int) -> np.ndarray:
    return grid_positions(side, side).numpy()[None].repeat(FRAMES, 0)


class Vae(nn.Module):
    """Frozen: latents [B, C, 2, 4, 4] to a video [B, 3, 3, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv3d(CHANNELS, 3, 1).requires_grad_(False)

    def decode(self, latents: Tensor) -> Tensor:
        return nn.functional.interpolate(self.mix(latents), size=(3, 8, 8)).tanh()


def distance(images: Tensor, true: Tensor) -> Tensor:
    return (images - true).square().flatten(1).mean(1)


class Generator(nn.Module):
    """A frozen velocity model; `add_lora` adds what may learn."""

    shift = 0.5

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.base = nn.Linear(2 * CHANNELS + CAPTION + 1, CHANNELS).requires_grad_(False)
        self.told: list[Conditions] = []
        self.checkpointing = False

    def add_lora(self, rank: int) -> None:
        self.down = nn.Linear(self.base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, CHANNELS, bias=False)
        nn.init.zeros_(self.up.weight)

    def save_lora(self, folder: Path) -> None:
        folder.mkdir()
        save_file({"up": self.up.weight.detach()}, folder / "adapters.safetensors")

    def enable_gradient_checkpointing(self) -> None:
        self.checkpointing = True

    def pack(self, latents: Tensor) -> Tensor:
        return cells_of(latents).flatten(1, 2)

    def velocity(self, noisy: Tensor, sigma: Tensor, conditions: Conditions) -> Tensor:
        self.told.append(replace(conditions, semantic=conditions.semantic.detach().clone()))
        length = noisy.shape[1]
        where = torch.zeros_like(noisy) if conditions.latents is None else conditions.latents
        said = conditions.semantic.mean(1, keepdim=True).expand(-1, length, -1)
        level = sigma[:, None, None].expand(-1, length, 1)
        features = torch.cat([noisy, where, said, level], dim=-1)
        return self.base(features) + self.up(self.down(features))


def weights(path, names: Sequence[str] = ("model", "ema", "optimizer")) -> dict[str, Tensor]:
    """All tensors of a checkpoint."""
    from models.training.checkpoint import read

    found = read(path)
    return {f"{name}/{key}": value for name in names for key, value in found.tensors(name).items()}
