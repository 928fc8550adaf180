"""Temporal probes: does the conditioning say which way things move, and in which order (§6).

Protocol: two logistic regressions on the conditioning pooled over space for each latent frame, fitted on the train
split, read on held-out clips: the first and the second direction of the first-named shape, four classes each. Their
log-probabilities are judged as `models.evaluation.order` says: `direction` has a chance of 0.25, `temporal_ordering` of
0.5; the latter is undefined where both directions are the same.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from models.evaluation.inputs import MetricInputError
from models.evaluation.order import Directions, Reading, beside, judge

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PROPORTIONS = ("direction", "temporal_ordering", "direction_caption", "temporal_ordering_caption")
"""Metrics that are right or wrong on a clip."""
DIRECTION_PROTOCOL = "logistic probe on pooled conditioning, held-out clips, first direction right, chance 0.25"
ORDERING_PROTOCOL = "logistic probe on pooled conditioning, held-out clips, order of two directions, chance 0.5"

PROTOCOLS = {
    "direction": DIRECTION_PROTOCOL,
    "temporal_ordering": ORDERING_PROTOCOL,
    **beside("direction", "temporal_ordering"),
}


def pool(tokens: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
    """Tokens [N, T', n, D] -> [N, T', D']: their mean; with positions [T', n, 2] also their first moments in x and y,
    so that a linear probe can see where things are."""
    tokens = tokens.astype(np.float32)
    parts = [tokens.mean(2)]
    if positions is not None:
        centred = positions.astype(np.float32) - 0.5
        parts += [np.einsum("btnd,tn->btd", tokens, centred[..., axis]) / tokens.shape[2] for axis in (0, 1)]
    return np.concatenate(parts, axis=-1)


@dataclass(frozen=True)
class TemporalProbe:
    """The two fitted regressions, of the first and of the second direction."""

    halves: tuple["Pipeline", "Pipeline"]
    shape: tuple[int, ...]
    """(T', D) of the conditioning that it reads."""

    @classmethod
    def fit(cls, train: np.ndarray, directions: Directions) -> Self:
        """Fit on pooled conditioning [N, T', D] of train clips; one without directions is left out.

        Raises:
            MetricInputError: shapes do not fit, or the clips show fewer than two directions.
        """
        if len(train) != len(directions):
            raise MetricInputError(f"temporal probe: {len(train)} train clips, {len(directions)} directions")
        known = {row: pair for row, pair in enumerate(directions) if pair is not None}
        features = train[list(known)].reshape(len(known), -1)
        first, second = (_regression(features, [str(pair[half]) for pair in known.values()]) for half in (0, 1))
        return cls((first, second), train.shape[1:])

    def read(self, heldout: np.ndarray, directions: Directions) -> Reading:
        """Read pooled conditioning [N, T', D] of held-out clips; one without directions is undefined.

        Raises:
            MetricInputError: shapes do not fit.
        """
        if heldout.shape[1:] != self.shape or len(heldout) != len(directions):
            raise MetricInputError(
                f"temporal probe: fitted on {self.shape} a clip, given {heldout.shape} and {len(directions)} directions"
            )
        words = sorted({str(word) for half in self.halves for word in half.classes_})
        first, second = (_log_probabilities(half, heldout, words) for half in self.halves)
        return judge(words, first, second, directions)


def _regression(features: np.ndarray, labels: list[str]) -> "Pipeline":
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(set(labels)) < 2:
        raise MetricInputError("temporal probe: the train clips show fewer than two directions")
    # Standardised features of this number need a strong prior, or the fit is by heart. With fewer clips than features
    # the fit lies in the clips' span: rotating into it changes nothing but the time.
    prior = 10.0 / features.shape[1]
    steps = [StandardScaler(), PCA(min(features.shape)), LogisticRegression(C=prior, max_iter=300)]
    return make_pipeline(*steps).fit(features, labels)


def _log_probabilities(regression: "Pipeline", queries: np.ndarray, words: list[str]) -> np.ndarray:
    """Of each word [N, words]; impossible where the regression has never seen it."""
    found = np.full((len(queries), len(words)), -np.inf)
    columns = [words.index(name) for name in regression.classes_]
    found[:, columns] = regression.predict_log_proba(queries.reshape(len(queries), -1))
    return found
