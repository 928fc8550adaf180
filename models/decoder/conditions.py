"""What the video decoder is told of a batch of clips, by route (design §4.5)."""

from dataclasses import dataclass

from torch import Tensor

from models.decoder.routes import Routes


@dataclass(frozen=True)
class Conditions:
    """Conditions of B clips whose latents are L tokens of C channels."""

    semantic: Tensor
    """[B, S, D], in the space of the decoder's caption embeddings."""
    mask: Tensor | None = None
    """bool [B, S]: which semantic tokens count; None means all."""
    latents: Tensor | None = None
    """[B, K, C], clean latent tokens."""
    cells: Tensor | None = None
    """[K], the places in 0..L-1 that `latents` speaks of; None means all L in order."""
    initial: Tensor | None = None
    """[B, L, C], the clean latent tokens at which sampling begins, under noise; None begins at noise."""
    null: Tensor | None = None
    """[S, D], what stands for no semantic tokens; guidance leads away from it."""


def by_route(routes: Routes, latents: Tensor, semantic: Tensor, null: Tensor) -> Conditions:
    """Send a conditioning along the open routes, in training as in sampling.

    Args:
        latents: the fusion's latent tokens [B, L, C].
        semantic: its caption tokens [B, S, D].
        null: the learned null [S, D], in the place of all caption tokens where cross-attention is off.
    """
    where = latents if routes.latent_tokens else None
    initial = latents if routes.initial_latents else None
    if not routes.cross_attention:
        return Conditions(null.expand(len(semantic), -1, -1), latents=where, initial=initial)
    return Conditions(semantic, latents=where, initial=initial, null=null)
