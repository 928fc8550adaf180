"""PCA maps of an encoder's tokens over the frame (§A.1): the first three components as red, green and blue.

Protocol: one PCA over all tokens of the clip, so that a colour means the same in every frame (Oquab et al. 2023); each
component is scaled from its 1st to its 99th percentile to 0..1. Colours of two encoders, or of two clips, do not mean
the same.
"""

from dataclasses import dataclass

import numpy as np

_TAILS = (1, 99)


@dataclass(frozen=True)
class PrincipalMap:
    """An encoder's tokens as colours."""

    colours: np.ndarray
    """float32 [T, N, 3] in 0..1, tokens in the order they came in; 0.5 where a component does not vary."""
    explained: tuple[float, ...]
    """Share of the tokens' variance in each of the three components, 0..1."""


def principal_map(tokens: np.ndarray) -> PrincipalMap:
    """Of one clip's tokens [T, N, D].

    Raises:
        ValueError: not such tokens, fewer than four of them, or values that are not finite.
    """
    from sklearn.decomposition import PCA

    if tokens.ndim != 3 or tokens.shape[0] * tokens.shape[1] < 4 or tokens.shape[2] < 3:
        raise ValueError(f"PCA map: tokens {tokens.shape} are not [T, N, D] of at least 4 tokens and 3 channels")
    rows = tokens.reshape(-1, tokens.shape[-1]).astype(np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("PCA map: NaN or infinite tokens; encode the clip again")
    if not rows.std(0).any():
        return PrincipalMap(np.full((*tokens.shape[:2], 3), 0.5, np.float32), (0.0, 0.0, 0.0))
    found = PCA(3, svd_solver="full").fit(rows)
    scores = found.transform(rows)
    low, high = np.percentile(scores, _TAILS, axis=0)
    spread = np.where(high > low, high - low, np.inf)
    colours = np.where(high > low, (scores - low) / spread, 0.5).clip(0, 1)
    explained = tuple(float(share) for share in found.explained_variance_ratio_)
    return PrincipalMap(colours.reshape(*tokens.shape[:2], 3).astype(np.float32), explained)
