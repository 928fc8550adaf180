"""Which of a clip's candidate futures is chosen, and how often the chosen one is right (§5.6, C4)."""

import numpy as np

from models.studies.influence import area


def chosen(scores: np.ndarray) -> np.ndarray:
    """Of scores [N, K], lower is better, the best candidate of each clip [N]; the first of equal ones."""
    return scores.argmin(1)


def right_of(right: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Whether the chosen candidate [N] is right, of right or wrong [N, K]: float 0 or 1, [N]."""
    return np.take_along_axis(right, choice[:, None], 1)[:, 0].astype(np.float64)


def within(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of each clip the chance that a wrong candidate scores higher than a right one, ties half: [N].

    What choosing needs; NaN where all candidates of a clip are right or all are wrong.
    """
    found = np.full(len(scores), np.nan)
    for clip, (some, good) in enumerate(zip(scores, right.astype(bool), strict=True)):
        if good.any() and not good.all():
            found[clip] = area(some, ~good).mean()
    return found


def by_record(right: np.ndarray) -> np.ndarray:
    """Of right or wrong [N, K] the candidate that is right most often on all other clips, for each clip [N].

    It knows how good each kind of future is and verifies nothing: what verification must beat.
    """
    others = right.sum(0, dtype=np.int64) - right.astype(np.int64)
    return others.argmax(1)


def most_confident(distance: np.ndarray, share: float) -> np.ndarray:
    """The share of clips whose distance [N] is smallest, at least one: bool [N]."""
    kept = np.zeros(len(distance), bool)
    kept[np.argsort(distance, kind="stable")[: max(1, round(share * len(distance)))]] = True
    return kept
