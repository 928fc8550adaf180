"""Semantic consistency by a probe: is what the true clip is said to show still in what the VLM sees (§6)?

Protocol: the content of a clip is the set of words of its data set's caption, of those that at least a twentieth and at
most nineteen twentieths of the train captions have. One logistic regression a word, on the VLM's tokens of the true
train clips, pooled over space at each time; read from the VLM's tokens of generated clips. A clip's value is the share
of the other held-out clips whose content the probe finds less likely than the clip's own; equal content does not count,
equal likelihood counts half. Chance is 0.5 by construction: whoever says the same of every clip wins as often as it
loses. The ceiling is the same probe on the true held-out clips. No caption of the VLM is involved.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from models.evaluation.inputs import MetricInputError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

RAREST = 0.05
COMPONENTS = 128
"""Principal components of the tokens that the probe reads."""
PROTOCOL = (
    "probe of the caption's words on the VLM's tokens, fitted on true train clips, read from generated held-out clips: "
    "share of other clips' contents found less likely, chance 0.5"
)


@dataclass(frozen=True)
class ContentProbe:
    """The fitted regressions, one a word."""

    regressions: "Pipeline"
    words: tuple[str, ...]
    shape: tuple[int, ...]

    @classmethod
    def fit(cls, train: np.ndarray, captions: Sequence[str]) -> Self:
        """Fit on pooled tokens [N, T', D] of true train clips and their captions.

        Raises:
            MetricInputError: other numbers of clips, or no word that tells them apart.
        """
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if len(train) != len(captions):
            raise MetricInputError(f"content probe: {len(train)} train clips, {len(captions)} captions")
        words = telling(captions)
        if not words:
            raise MetricInputError("content probe: no word tells the train captions apart")
        features = train.reshape(len(train), -1)
        steps = [
            StandardScaler(),
            PCA(min(COMPONENTS, *features.shape), whiten=True, random_state=0),
            OneVsRestClassifier(LogisticRegression(C=0.1, max_iter=300)),
        ]
        return cls(make_pipeline(*steps).fit(features, contents(captions, words)), words, train.shape[1:])

    def read(self, heldout: np.ndarray, captions: Sequence[str]) -> np.ndarray:
        """Of pooled tokens [N, T', D] of clips and the captions of the true ones, each clip's value [N]; NaN where no
        other clip has another content.

        Raises:
            MetricInputError: shapes do not fit.
        """
        if heldout.shape[1:] != self.shape or len(heldout) != len(captions):
            raise MetricInputError(
                f"content probe: fitted on {self.shape} a clip, given {heldout.shape} and {len(captions)} captions"
            )
        present = contents(captions, self.words).astype(np.float64)
        chance = np.clip(self.regressions.predict_proba(heldout.reshape(len(heldout), -1)), 1e-6, 1 - 1e-6)
        # Rows are readings, columns contents.
        likely = np.log(chance) @ present.T + np.log(1 - chance) @ (1 - present).T
        own = likely.diagonal()[:, None]
        wins = np.where(np.isclose(likely, own, rtol=0, atol=1e-9), 0.5, likely < own)
        other = (present[:, None] != present[None]).any(-1)
        return np.where(other.any(1), (wins * other).sum(1) / np.maximum(other.sum(1), 1), np.nan)


def telling(captions: Sequence[str]) -> tuple[str, ...]:
    """The words that some captions have and some have not, none of them rare, in alphabetical order."""
    counts = Counter(word for caption in captions for word in _words(caption))
    low, high = RAREST * len(captions), (1 - RAREST) * len(captions)
    return tuple(sorted(word for word, count in counts.items() if low <= count <= high))


def contents(captions: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """Which of the words each caption has: int [N, words]."""
    return np.array([[word in said for word in words] for said in map(_words, captions)], int)


def _words(caption: str) -> set[str]:
    return set(re.findall(r"\w+", caption.casefold()))
