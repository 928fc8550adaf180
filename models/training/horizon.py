"""What of a clip is known and what is to be foretold (§1.5, C3, Q5): the first frames, and all after them.

An encoder is shown the known frames alone. Its tokens stand at the start of the clip's time and the steps of the future
are masked, so a fusion sees a future that is not there yet, and a predictor has the sizes of what it was trained from.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


class HorizonError(ValueError):
    """A context that leaves nothing to foretell, or that the VAE's latent frames do not tile."""


@dataclass(frozen=True)
class Horizon:
    """How much of a clip is given, in frames; the VAE's first latent frame is one frame, the others `step` each."""

    frames: int
    """Of the whole clip."""
    context: int
    """The first frames, which are known."""
    step: int
    """Frames to a latent frame."""

    def __post_init__(self) -> None:
        if not 0 < self.context < self.frames or (self.frames - 1) % self.step or (self.context - 1) % self.step:
            raise HorizonError(
                f"horizon: a context of {self.context} of {self.frames} frames does not fit; both must be "
                f"{self.step}k+1 (the VAE's latent frames), and the context shorter than the clip"
            )

    @property
    def ahead(self) -> int:
        """Frames that are foretold."""
        return self.frames - self.context

    @property
    def latent_frames(self) -> int:
        """Of the whole clip."""
        return (self.frames - 1) // self.step + 1

    @property
    def known(self) -> int:
        """Latent frames of the context."""
        return (self.context - 1) // self.step + 1


def padded(values: np.ndarray, steps: int, axis: int = 1) -> np.ndarray:
    """What was made of the context, its steps along `axis`, as the first of `steps`: those to come hold zeros.

    Of a mask that is False: nothing is to be read there.

    Raises:
        HorizonError: there are more than `steps` of them.
    """
    there = values.shape[axis]
    if there > steps:
        raise HorizonError(f"horizon: {there} steps of tokens in a clip of {steps}; encode the context frames alone")
    after = [(0, steps - there if place == axis else 0) for place in range(values.ndim)]
    return np.pad(values, after)


def with_context(latents: Tensor, context: Tensor) -> Tensor:
    """Latents [B, C, T', h, w] whose first frames are those of `context` [B, C, K, h, w]."""
    return torch.cat([context.to(latents), latents[:, :, context.shape[2] :]], dim=2)


def copied(latents: Tensor, known: int) -> Tensor:
    """The last known latent frame of [B, C, T', h, w] stands still: the baseline that says nothing moves."""
    later = latents.shape[2] - known
    return torch.cat([latents[:, :, :known], latents[:, :, known - 1 : known].expand(-1, -1, later, -1, -1)], dim=2)


def extrapolated(latents: Tensor, known: int) -> Tensor:
    """The last change of latents [B, C, T', h, w] goes on; with one known frame there was none, and it stands still."""
    if known < 2:
        return copied(latents, known)
    last, change = (
        latents[:, :, known - 1 : known],
        latents[:, :, known - 1 : known] - latents[:, :, known - 2 : known - 1],
    )
    ahead = torch.arange(1, latents.shape[2] - known + 1).to(latents)[:, None, None]
    return torch.cat([latents[:, :, :known], last + ahead * change], dim=2)


def errors_ahead(predicted: Tensor, true: Tensor, known: int) -> Tensor:
    """Mean squared error of each foretold latent frame, [B, T' - known]; 1 is what predicting the mean scores."""
    return (predicted.float() - true.float())[:, :, known:].square().mean((1, 3, 4))
