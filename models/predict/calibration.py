"""The line between agreeing and differing, from held-out clips: what really came against what did not.

Each prediction is held against its own outcome and against wrong ones: another clip's, and its own spoiled in known
ways. One half of the clips chooses among the measures, by the area under the ROC; the other half gives the chosen one's
area and threshold, so that the choice does not flatter its own figure. The threshold is where the ROC is furthest above
chance (Youden's J), its interval a bootstrap over clips: within it a verdict would depend on which clips were drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.baselines import copy_last, others
from models.evaluation.disturbances import recolour, remove_objects, shift
from models.evaluation.metric import Metric
from models.predict.differences import Measure

RESAMPLES = 1000
LEVEL = 0.95
Progress = Callable[[str, int, int, dict[str, float]], None]
RIGHT = "right"
FEWEST = 8
"""Clips in each half."""


class CalibrationError(ValueError):
    """Too few held-out clips to draw a line."""


@dataclass(frozen=True)
class Distances:
    """Of N predictions by one measure."""

    right: np.ndarray
    """[N], to their own outcomes."""
    wrong: Mapping[str, np.ndarray]
    """Kind -> [N], to wrong outcomes."""

    def of(self, clips: np.ndarray) -> "Distances":
        """The same of some clips."""
        return Distances(self.right[clips], {kind: values[clips] for kind, values in self.wrong.items()})

    @property
    def all_wrong(self) -> np.ndarray:
        """[kinds * N]"""
        return np.concatenate(list(self.wrong.values()))


@dataclass(frozen=True)
class Roc:
    """Shares of wrong outcomes (true) and of right ones (false) that are called different, from strict to lenient."""

    thresholds: np.ndarray
    """Falling; a distance at or above one is called different."""
    true: np.ndarray
    false: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """A measure with its line."""

    measure: str
    threshold: float
    low: float
    high: float
    auc: Metric
    by_wrong: Mapping[str, float]
    """Kind -> area against that kind of wrong outcome alone: what the measure sees, and what it is blind to."""
    roc: Roc
    choices: Mapping[str, float]
    """Every measure's area on the clips that chose."""

    @property
    def tells(self) -> bool:
        """Whether the measure is better than chance beyond doubt; one that is not decides nothing."""
        return self.auc.low is not None and self.auc.low > 0.5


def wrong_outcomes(clips: np.ndarray, context: int, masks: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Futures uint8 [N, T - context, H, W, 3] that did not come, of true clips uint8 [N, T, H, W, 3], by kind.

    Args:
        masks: uint8 [N, T, H, W], where objects are; without them none is removed.
    """
    made = {
        "another": clips[others(len(clips))],
        "shift": shift(clips),
        "still": copy_last(clips, known=context),
        "recolour": recolour(clips),
    }
    if masks is not None:
        made["removed"] = remove_objects(clips, masks)
    return {kind: np.ascontiguousarray(one[:, context:]) for kind, one in made.items()}


def distances(
    measures: Sequence[Measure],
    predicted: np.ndarray,
    outcomes: np.ndarray,
    wrong: Mapping[str, np.ndarray],
    progress: Progress = lambda *_: None,
) -> dict[str, Distances]:
    """Each measure's distances of predictions to outcomes, all uint8 [N, F, H, W, 3]; a network sees each once."""
    found: dict[str, dict[str, list[float]]] = {measure.name: {} for measure in measures}
    differs = {id(measure.differ): measure.differ for measure in measures}
    against = {RIGHT: outcomes, **wrong}
    for clip, mine in enumerate(predicted):
        seen = {key: differ.see(mine) for key, differ in differs.items()}
        for kind, clips in against.items():
            maps = {key: differ.apart(seen[key], differ.see(clips[clip])) for key, differ in differs.items()}
            for one in measures:
                found[one.name].setdefault(kind, []).append(one.pool(maps[id(one.differ)]))
        progress("predictions against outcomes", clip + 1, len(predicted), {})
    return {
        name: Distances(np.array(kinds.pop(RIGHT)), {kind: np.array(values) for kind, values in kinds.items()})
        for name, kinds in found.items()
    }


def calibrate(found: Mapping[str, Distances], seed: int = 0) -> Calibration:
    """Choose a measure and draw its line.

    Raises:
        CalibrationError: fewer than 16 clips.
    """
    count = len(next(iter(found.values())).right)
    if count < 2 * FEWEST:
        raise CalibrationError(
            f"calibration: {count} held-out clips; {2 * FEWEST} are needed, half to choose a measure"
        )
    clips = np.random.default_rng(seed).permutation(count)
    choosing, judging = clips[: count // 2], clips[count // 2 :]
    choices = {name: area(one.of(choosing).right, one.of(choosing).all_wrong) for name, one in found.items()}
    name = max(choices, key=lambda one: choices[one])
    judged = found[name].of(judging)
    thresholds, areas = _resampled(judged, np.random.default_rng(seed))
    low, high = _interval(thresholds)
    auc = Metric(
        area(judged.right, judged.all_wrong), *_interval(areas), len(judged.right), "area under the ROC, bootstrap"
    )
    threshold = furthest(judged.right, judged.all_wrong)
    return Calibration(
        measure=name,
        threshold=threshold,
        low=min(low, threshold),
        high=max(high, threshold),
        auc=auc,
        by_wrong={kind: area(judged.right, values) for kind, values in judged.wrong.items()},
        roc=roc(judged.right, judged.all_wrong),
        choices=choices,
    )


def area(right: np.ndarray, wrong: np.ndarray) -> float:
    """Chance that a wrong outcome is further than a right one, ties half: the area under the ROC."""
    return float((wrong[:, None] > right).mean() + (wrong[:, None] == right).mean() / 2)


def roc(right: np.ndarray, wrong: np.ndarray) -> Roc:
    """The curve, from the threshold that calls nothing different to the one that calls all so."""
    thresholds = np.unique(np.concatenate([right, wrong]))[::-1]
    true, false = ((side[:, None] >= thresholds).mean(0) for side in (wrong, right))
    return Roc(thresholds, true, false)


def furthest(right: np.ndarray, wrong: np.ndarray) -> float:
    """Youden's threshold, halfway to the next smaller distance: right outcomes fall below it, wrong ones above."""
    curve = roc(right, wrong)
    best = int(np.argmax(curve.true - curve.false))
    below = curve.thresholds[min(best + 1, len(curve.thresholds) - 1)]
    return float((curve.thresholds[best] + below) / 2)


def _resampled(judged: Distances, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Threshold and area of each resample of the clips; a clip brings its right and its wrong outcomes together."""
    count = len(judged.right)
    drawn = [judged.of(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    pairs = [(furthest(one.right, one.all_wrong), area(one.right, one.all_wrong)) for one in drawn]
    thresholds, areas = np.array(pairs).T
    return thresholds, areas


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
