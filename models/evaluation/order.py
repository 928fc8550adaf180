"""How a reading of a clip's two directions is judged, whoever read them: a probe or a caption (§6).

Protocol: a reading gives each direction word a score for the first and for the second half. `direction` = the first
direction scores highest, alone (chance 1 of the number of words). `ordering` = of the two orders of the clip's two
directions the true one scores higher (chance 0.5, whatever the distribution of directions; a reading that does not
choose counts half, as a coin would). The shuffled baseline is the reading of every *other* clip held against this
clip's directions, mean: what shuffling gives on average. A reader that says one thing of everything scores the same in
both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.inputs import MetricInputError

Directions = Sequence[Sequence[str] | None]
"""Of each clip the directions of its first and second half; None where they are not known."""


@dataclass(frozen=True)
class Reading:
    """Per held-out clip 1 where the reader is right, 0 where not, NaN where undefined; and the shuffled baseline."""

    direction: np.ndarray
    ordering: np.ndarray
    direction_null: np.ndarray
    ordering_null: np.ndarray

    def values(self, suffix: str = "") -> dict[str, np.ndarray]:
        """By the names of the evaluation document, the gain over the shuffled baseline included."""
        named = {}
        for name, value, null in (
            (f"direction{suffix}", self.direction, self.direction_null),
            (f"temporal_ordering{suffix}", self.ordering, self.ordering_null),
        ):
            named |= {name: value, f"{name}_null": null, f"{name}_lift": value - null}
        return named


def judge(words: Sequence[str], first: np.ndarray, second: np.ndarray, directions: Directions) -> Reading:
    """Scores [N, words] of each half, larger is likelier, -inf impossible, against what N clips show.

    Raises:
        MetricInputError: other numbers of clips.
    """
    if first.shape != (len(directions), len(words)) or first.shape != second.shape:
        raise MetricInputError(
            f"directions: scores {first.shape} and {second.shape} for {len(directions)} clips and {len(words)} words"
        )
    # A direction that no reading knows of is impossible to all.
    places = {word: place for place, word in enumerate(words)}
    early, late = (
        np.pad(scores.astype(np.float64), ((0, 0), (0, 1)), constant_values=-np.inf) for scores in (first, second)
    )
    known = np.array([pair is not None for pair in directions], bool)
    one, two = (
        np.array([len(words) if pair is None else places.get(pair[half], len(words)) for pair in directions], int)
        for half in (0, 1)
    )
    # Rows are readings, columns clips.
    right = _highest_alone(early)[:, None] == np.where(one < len(words), one, -2)[None]
    true, reverse = early[:, one] + late[:, two], early[:, two] + late[:, one]
    order = np.where(true == reverse, 0.5, true > reverse)
    turns = known & np.array([pair is not None and pair[0] != pair[1] for pair in directions], bool)
    direction, direction_null = _own_and_others(right.astype(np.float64), known)
    ordering, ordering_null = _own_and_others(order, turns)
    return Reading(direction, ordering, direction_null, ordering_null)


def beside(*names: str) -> dict[str, str]:
    """Protocols of what stands beside readings of these names."""
    nulls = {f"{name}_null": "the same, read from all other clips, mean" for name in names}
    lifts = {f"{name}_lift": "paired over clips: the clip's value less its shuffled baseline" for name in names}
    return nulls | lifts


def _highest_alone(scores: np.ndarray) -> np.ndarray:
    """Of each reading the word that scores highest, -1 where several do."""
    highest = scores == scores.max(1, keepdims=True)
    return np.where(highest.sum(1) == 1, highest.argmax(1), -1)


def _own_and_others(right: np.ndarray, defined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each clip that has a truth its own reading's mark, and the mean of all other readings'."""
    count, own = len(right), right.diagonal()
    others = (right.sum(0) - own) / (count - 1) if count > 1 else np.full(count, np.nan)
    return np.where(defined, own, np.nan), np.where(defined, others, np.nan)
