"""Frozen networks: loaded from a checked folder, never trained, never woken by `train()`."""

from torch import nn


class Frozen(nn.Module):
    """A module whose parameters take no gradient and which stays in evaluation mode inside a training parent."""

    weights_sha256: str
    standin: bool

    def freeze(self) -> None:
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True):
        return super().train(False)
