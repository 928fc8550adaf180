"""A frozen network as `models.data.features.extract` calls it: clips in, the named arrays of its feature store out.

Floats are halved where they were made, as the store would halve them: that is half the bytes to move and to hold.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from models.data.features import Encode
from models.encoders.base import Encoder

if TYPE_CHECKING:
    from models.decoder.vae import LTXVae


def tokens_of(encoder: Encoder) -> Encode:
    """uint8 [n, T, H, W, 3] to `tokens` [n, T', N, D], `positions` [T', N, 2] and `mask` [n, T', N]."""

    def encode(frames: np.ndarray) -> dict[str, np.ndarray]:
        made = encoder(_clips(frames, encoder))
        return {
            "tokens": made.tokens.half().cpu().numpy(),
            "positions": made.positions[0].cpu().numpy(),
            "mask": made.mask.cpu().numpy(),
        }

    return encode


def latents_of(vae: "LTXVae") -> Encode:
    """uint8 [n, T, H, W, 3] to `latents` [n, C, T', h, w]."""
    return lambda frames: {"latents": vae.encode(_clips(frames, vae)).half().cpu().numpy()}


def _clips(frames: np.ndarray, network: nn.Module) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames)).to(next(network.parameters()).device)
