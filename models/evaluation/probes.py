"""Temporal probes: does the conditioning say which way things move, and in which order (§6).

Protocol: two logistic regressions on the conditioning pooled over space for each latent frame, fitted on the train
split, read on held-out clips: the first and the second direction of the first-named shape, four classes each.
`direction` = the first direction is right (chance 0.25). `temporal_ordering` = of the two orders of the clip's two
directions the probe finds the true one likelier (chance 0.5); undefined where both directions are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.inputs import MetricInputError

Directions = Sequence[Sequence[str] | None]
DIRECTION_PROTOCOL = "logistic probe on pooled conditioning, held-out clips, first direction right, chance 0.25"
ORDERING_PROTOCOL = "logistic probe on pooled conditioning, held-out clips, order of two directions, chance 0.5"


@dataclass(frozen=True)
class TemporalProbe:
    """Per held-out clip 1 where the probe is right, 0 where not, NaN where undefined."""

    direction: np.ndarray
    ordering: np.ndarray


def pool(tokens: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
    """Tokens [N, T', n, D] -> [N, T', D']: their mean; with positions [T', n, 2] also their first moments in x and y,
    so that a linear probe can see where things are."""
    tokens = tokens.astype(np.float32)
    parts = [tokens.mean(2)]
    if positions is not None:
        centred = positions.astype(np.float32) - 0.5
        parts += [np.einsum("btnd,tn->btd", tokens, centred[..., axis]) / tokens.shape[2] for axis in (0, 1)]
    return np.concatenate(parts, axis=-1)


def temporal_probe(
    train: np.ndarray, train_directions: Directions, heldout: np.ndarray, heldout_directions: Directions
) -> TemporalProbe:
    """Fits on pooled conditioning [N, T', D] of train clips, reads held-out ones; no directions: left out.

    Raises:
        MetricInputError: shapes do not fit, or the train clips show fewer than two directions.
    """
    if train.shape[1:] != heldout.shape[1:] or len(train) != len(train_directions):
        raise MetricInputError(f"temporal probe: {train.shape} and {heldout.shape}, {len(train_directions)} directions")
    if len(heldout) != len(heldout_directions):
        raise MetricInputError(f"temporal probe: {len(heldout)} held-out clips, {len(heldout_directions)} directions")
    known = [k for k, pair in enumerate(train_directions) if pair is not None]
    log_p = []
    for half in (0, 1):
        labels = [str(pair[half]) for k in known if (pair := train_directions[k]) is not None]
        log_p.append(_log_probabilities(train[known], labels, heldout))
    direction, ordering = np.full(len(heldout), np.nan), np.full(len(heldout), np.nan)
    for k, pair in enumerate(heldout_directions):
        if pair is None:
            continue
        first, second = log_p[0][k], log_p[1][k]
        direction[k] = max(first, key=lambda name: first[name]) == pair[0]
        if pair[0] != pair[1]:
            right = first.get(pair[0], -np.inf) + second.get(pair[1], -np.inf)
            reverse = first.get(pair[1], -np.inf) + second.get(pair[0], -np.inf)
            ordering[k] = 0.5 if right == reverse else right > reverse
    return TemporalProbe(direction, ordering)


def _log_probabilities(features: np.ndarray, labels: list[str], queries: np.ndarray) -> list[dict[str, float]]:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(set(labels)) < 2:
        raise MetricInputError("temporal probe: the train clips show fewer than two directions")
    flat = features.reshape(len(features), -1)
    # Standardised features of this number need a strong prior, or the fit is by heart. With fewer clips than features
    # the fit lies in the clips' span: rotating into it changes nothing but the time.
    steps = [StandardScaler(), PCA(min(flat.shape)), LogisticRegression(C=10.0 / flat.shape[1], max_iter=300)]
    probe = make_pipeline(*steps)
    probe.fit(flat, labels)
    found = probe.predict_log_proba(queries.reshape(len(queries), -1))
    return [dict(zip(probe.classes_, row, strict=True)) for row in found]
