"""Where a fusion starts (ADR 7): whitened streams, and by least squares what need not be learned step by step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from models.fusion.base import Fusion
from models.fusion.conditioning import cells_of
from models.training.data import DataError, TrainingData, read_batch

WHITENED = 200
"""Clips whose tokens whiten the streams."""
SOLVED = 1000
"""Clips on which the first linear map to latents is solved."""
AT_ONCE = 20
RIDGE, INVERSE_RIDGE = 1e-4, 1e-3
"""Of the map and of its inverse, as shares of the mean diagonal of what is inverted."""


@torch.no_grad()
def start_from(fusion: Fusion, data: TrainingData, arm: str) -> None:
    """Set a fresh fusion to its start, on the first clips to train on and the tokens that the arm sees.

    Raises:
        DataError: some of their tokens or latents are not finite.
    """
    for stream, source in ((fusion.spatial, data.spatial), (fusion.semantic, data.semantic)):
        if source is not None:
            stream.whiten(source.tokens(data.ids[:WHITENED]).tokens.to(fusion.device))
    was_training = fusion.training
    _solve_latents(fusion.eval(), data, arm)
    fusion.train(was_training)


def _solve_latents(fusion: Fusion, data: TrainingData, arm: str) -> None:
    """Solve for the best linear map from all that the layers read at the start to the latents.

    The head makes latents of the first reading. What a later one has to add to them, its projection adds to the queries
    as that from which the head makes just this.
    """
    head, later, dim = fusion.latent_head.linear, fusion.later_projections(), fusion.config.dim
    moments, products = _moments(fusion, later, data, arm)
    solved = _ridge(moments, products, RIDGE).T
    head.weight.copy_(solved[:, :dim])
    head.bias.copy_(solved[:, -1])
    back = _ridge(solved[:, :dim] @ solved[:, :dim].T, solved[:, :dim], INVERSE_RIDGE).T
    for place, projection in enumerate(later, start=1):
        projection.weight.copy_(back @ solved[:, place * dim : (place + 1) * dim])


def _moments(fusion: Fusion, later: Sequence[nn.Module], data: TrainingData, arm: str) -> tuple[Tensor, Tensor]:
    """Sums over cells of rows x rows and rows x latents; a row is the hidden state, all later readings, and a 1."""
    ids = data.ids[:SOLVED]
    moments = products = torch.zeros((), dtype=torch.float64, device=fusion.device)
    with _listening(later) as read:
        for first in range(0, len(ids), AT_ONCE):
            batch = read_batch(data, ids[first : first + AT_ONCE], arm=arm).to(fusion.device)
            wanted = cells_of(batch.latents).flatten(0, 2).double()
            hidden = fusion(batch.spatial, batch.semantic).hidden
            if not (hidden.isfinite().all() and wanted.isfinite().all()):
                some = ", ".join(batch.ids)
                raise DataError(f"start: {some} have tokens or latents that are not finite; extract them again")
            readings = [fusion.of_cells(read[projection], hidden.shape[1]) for projection in later]
            rows = torch.cat([hidden, *readings, torch.ones_like(hidden[..., :1])], dim=-1).flatten(0, 2).double()
            moments, products = moments + rows.T @ rows, products + rows.T @ wanted
    return moments, products


@contextmanager
def _listening(modules: Sequence[nn.Module]) -> Iterator[dict[nn.Module, Tensor]]:
    """What last went into each of the modules."""
    heard: dict[nn.Module, Tensor] = {}
    hooks = [m.register_forward_pre_hook(lambda module, given: heard.update({module: given[0]})) for m in modules]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _ridge(moments: Tensor, products: Tensor, share: float) -> Tensor:
    """The x of (moments + share * mean diagonal) x = products."""
    ridge = share * moments.diagonal().mean()
    return torch.linalg.solve(moments + ridge * torch.eye(len(moments)).to(moments), products)
