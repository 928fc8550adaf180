"""The routes by which a conditioning reaches the video decoder, each a switch (design §4.5).

No torch: whoever only reads a profile starts at once.
"""

from dataclasses import dataclass


class RouteError(ValueError):
    """Routes that condition nothing."""


@dataclass(frozen=True)
class Routes:
    """Which routes are open; at least one is.

    Training is the same whether `initial_latents` is on or off. Sampling then only enters the path from noise to
    latents further down, and training visits every level of that path: so the strength stays free until sampling, and
    held-out losses of all routes stay comparable.
    """

    latent_tokens: bool = True
    """*Where*: clean latent tokens at timestep 0, beside the noisy ones."""
    cross_attention: bool = True
    """*What*: caption tokens through the frozen caption projection; when off, the learned null is in their place."""
    initial_latents: bool = False
    """*Where*: sampling begins at the fusion's latents under noise (SDEdit, Meng et al. 2022, arXiv:2108.01073)."""

    def __post_init__(self) -> None:
        if not (self.latent_tokens or self.cross_attention or self.initial_latents):
            raise RouteError(
                "routes: all are off, so nothing conditions the decoder; "
                "switch on latent_tokens, cross_attention or initial_latents"
            )
