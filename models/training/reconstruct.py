"""A trained fusion's conditioning of clips, and the frames it decodes to: what evaluation looks at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.fusion.base import Fusion
from models.training.data import TrainingData, read_batch
from models.training.objective import Decoder


@dataclass(frozen=True)
class Conditionings:
    """Conditioning of N clips as float32 arrays."""

    latents: np.ndarray
    """[N, C, T', h, w], in the VAE's normalised space."""
    semantic: np.ndarray
    """[N, S, caption_channels]"""
    hidden: np.ndarray
    """[N, T', h*w, dim]: what probes read."""


@torch.no_grad()
def conditionings(
    fusion: Fusion, data: TrainingData, ids: Sequence[str], arm: str, *, batch: int = 16
) -> Conditionings:
    """Condition the clips, the fusion in evaluation mode."""
    was_training, device = fusion.training, fusion.device
    fusion.eval()
    parts = []
    for some in _chunks(ids, batch):
        read = read_batch(data, some, arm=arm).to(device)
        made = fusion(read.spatial, read.semantic)
        parts.append([x.float().cpu().numpy() for x in (made.latents(), made.semantic_tokens, made.hidden)])
    fusion.train(was_training)
    return Conditionings(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@torch.no_grad()
def decode(vae: Decoder, latents: np.ndarray, *, batch: int = 8, device: str = "cpu") -> np.ndarray:
    """Normalised latents [N, C, T', h, w] to frames uint8 [N, T, H, W, 3]."""
    # diffusers takes seconds to import: only where pixels are made
    from models.decoder.vae import to_uint8

    chunks = (latents[i : i + batch] for i in range(0, len(latents), batch))
    return np.concatenate([to_uint8(vae.decode(torch.from_numpy(x).float().to(device))).cpu().numpy() for x in chunks])


def _chunks(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
