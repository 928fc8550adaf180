"""LTX as it is published, with nothing of this project injected: image-to-video from a first frame and a caption."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from models.decoder.conditions import Conditions
from models.decoder.ltx import LTXGenerator
from models.decoder.sampling import SamplingConfig, sample

Text = Callable[[list[str]], tuple[Tensor, Tensor]]


@torch.no_grad()
def from_first_frame(
    generator: LTXGenerator, text: Text, captions: Sequence[str], first: np.ndarray, steps: int, seed: int, batch: int
) -> np.ndarray:
    """Latents float32 [N, C, T', h, w], from a generator as published: no adapters, no fusion, no guidance.

    Args:
        text: captions to their embeddings and mask, the generator's own encoder.
        first: normalised latents [N, C, 1, h, w] of the first frames.
    """
    device = next(generator.transformer.parameters()).device
    noise, parts = torch.Generator().manual_seed(seed), []
    for start in range(0, len(first), batch):
        frame = generator.pack(torch.from_numpy(first[start : start + batch]).float().to(device))
        tokens, mask = text(list(captions[start : start + batch]))
        conditions = Conditions(tokens, mask, frame, torch.arange(frame.shape[1], device=device))
        parts.append(sample(generator, conditions, SamplingConfig(steps), noise))
    return torch.cat(parts).float().cpu().numpy()
