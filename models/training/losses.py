"""What the phases minimize, one function a term; each takes batches and gives one number."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""Distance of images [N, 3, H, W] in [-1, 1], differentiable in the first: [N] or any shape of N numbers."""


def latent_mse(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of normalised latents: 1 is what predicting the mean scores."""
    return functional.mse_loss(predicted.float(), true.float())


def latent_huber(predicted: Tensor, true: Tensor) -> Tensor:
    """As `latent_mse` near 0 (halved), linear beyond one standard deviation: rare bright cells do not rule."""
    return functional.huber_loss(predicted.float(), true.float())


def pixel_l1(video: Tensor, true: Tensor) -> Tensor:
    """Mean absolute error of videos [B, 3, T, H, W] in [-1, 1]."""
    return functional.l1_loss(video.float(), true.float())


def perceptual(video: Tensor, true: Tensor, distance: Perceptual) -> Tensor:
    """Mean perceptual distance over all frames of videos [B, 3, T, H, W] in [-1, 1]."""
    return distance(images(video), images(true)).mean()


def caption(predicted: Tensor, true: Tensor, square: Tensor | None = None) -> Tensor:
    """Caption tokens [B, S, D]: one minus the cosine, plus the squared error in units of the target's mean square.

    `square` is that of the whole batch where `true` is a part of it.
    """
    predicted, true = predicted.float(), true.float()
    angle = 1 - functional.cosine_similarity(predicted, true, dim=-1).mean()
    scale = (true.square().mean() if square is None else square).clamp_min(1e-12)
    return angle + (predicted - true).square().mean() / scale


def velocity(predicted: Tensor, true: Tensor) -> Tensor:
    """Flow-matching error of each clip, [B]."""
    return (predicted.float() - true.float()).square().flatten(1).mean(1)


def images(video: Tensor) -> Tensor:
    """Videos [B, 3, T, H, W] as images [B*T, 3, H, W]."""
    return video.transpose(1, 2).flatten(0, 1).float()
