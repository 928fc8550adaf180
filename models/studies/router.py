"""Which clips need the spatial stream? Told from the VLM's tokens alone, before anything is generated (§4.3).

The VLM runs for every clip in either way, so its tokens cost nothing more; DINOv2 and the hybrid run where the router
sends a clip. Ridge regression of what the hybrid gains over the VLM alone, on train clips.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PENALTIES = np.logspace(-1, 5, 13)
FEWEST = 20
"""Train clips, below which a regression on hundreds of features says nothing."""


class RouterError(ValueError):
    """Clips that no router can be fitted on."""


def features(tokens: np.ndarray) -> np.ndarray:
    """The VLM's tokens [N, T, n, D] as one row a clip: their mean and their spread, [N, 2 D]."""
    rows = tokens.astype(np.float32).reshape(len(tokens), -1, tokens.shape[-1])
    return np.concatenate([rows.mean(1), rows.std(1)], axis=1)


@dataclass(frozen=True)
class Router:
    """A fitted router."""

    regression: "Pipeline"

    @classmethod
    def fit(cls, told: np.ndarray, gains: np.ndarray) -> "Router":
        """Fit on features [N, F] of train clips and what the hybrid gained on them, [N]; the penalty by leave-one-out.

        Raises:
            RouterError: too few clips, other numbers of both, or a gain that is not finite.
        """
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if len(told) != len(gains) or len(told) < FEWEST:
            raise RouterError(f"router: {len(told)} rows and {len(gains)} gains; give at least {FEWEST} of both")
        if not np.isfinite(gains).all():
            raise RouterError("router: some gains are not finite; leave out clips on which an arm was not measured")
        return cls(make_pipeline(StandardScaler(), RidgeCV(alphas=PENALTIES)).fit(told, gains))

    def expected(self, told: np.ndarray) -> np.ndarray:
        """What the hybrid is expected to gain on clips of features [N, F]: [N]."""
        return np.asarray(self.regression.predict(told), float)


def neediest(expected: np.ndarray, share: float) -> np.ndarray:
    """The share (0..1) of clips with the largest expected gains: bool [N]. Of equal ones the first."""
    count = round(share * len(expected))
    sent = np.zeros(len(expected), bool)
    sent[np.argsort(-expected, kind="stable")[:count]] = True
    return sent
