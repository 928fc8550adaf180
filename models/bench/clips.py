"""Clips of random pixels, and random features of them: what a step costs does not depend on what it sees."""

import numpy as np
import torch
from torch import Tensor

from models.bench.setting import Setting
from models.encoders.base import grid_positions
from models.fusion.config import FusionConfig
from models.training.data import Reader, TokenSource, TrainingData


def random_frames(setting: Setting) -> Tensor:
    """One clip uint8 [1, T, H, W, 3] on the setting's device."""
    shape = (1, setting.frames, setting.side, setting.side, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, device=setting.device)


def random_data(setting: Setting, config: FusionConfig) -> TrainingData:
    """As many clips as the largest batch, with features, latents and captions of normal numbers, and random frames."""
    clips, rng = max(setting.batches), np.random.default_rng(0)

    def stored(*shape: int) -> Reader:
        values = rng.standard_normal((clips, *shape), np.float32).astype(np.float16)
        return lambda ids: values[[int(clip) for clip in ids]]

    def tokens(frames: int, grid: tuple[int, int], width: int) -> TokenSource:
        places = grid_positions(*grid).numpy()
        return TokenSource(stored(frames, len(places), width), places[None].repeat(frames, 0))

    frames = rng.integers(0, 256, (clips, setting.frames, setting.side, setting.side, 3), dtype=np.uint8)
    return TrainingData(
        ids=[str(clip) for clip in range(clips)],
        latents=stored(config.latent_channels, config.latent_frames, *config.latent_grid),
        spatial=tokens(config.latent_frames, config.spatial_grid, config.spatial_dim),
        semantic=tokens(config.semantic_frames, config.semantic_grid, config.semantic_dim),
        captions=stored(config.semantic_queries, config.caption_channels),
        frames=lambda ids: frames[[int(clip) for clip in ids]],
    )
