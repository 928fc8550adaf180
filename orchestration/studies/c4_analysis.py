"""C4's numbers: accuracy by the way a future is chosen, on the same clips, and whether pixels tell right from wrong.

Of every seed by itself; a value is the mean over seeds and its interval holds the interval of each, so what is not so
under one of them is open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.metric import Metric, bootstrap, paired_difference
from models.studies.choosing import by_record, chosen, most_confident, right_of, within
from models.studies.influence import area, gain_of_keeping
from orchestration.documents import MetricValue
from orchestration.studies.c4 import CIRCULAR, DRAWS, VERIFIED, Plan, Sizes, named
from orchestration.studies.paired import documents, over_seeds, said
from orchestration.studies.study import Analysis, Measured, Table

CONTROLS = ("circular", "own_loss", "peeking", "best")
SAYS = {
    "first": "the predictor's own first draw, nothing verified",
    "record": "the kind of future that is right most often on the other clips, nothing verified",
    "semantic": "nearest in the VLM's tokens to what has come",
    "verified": "nearest in pixels to what has come",
    "circular": "the same by LPIPS on AlexNet, a loss of the training",
    "own_loss": "smallest training loss of the predictor, the answer included",
    "peeking": "nearest in pixels to the answer itself",
    "best": "right wherever any candidate is",
}
"""Ways to choose, in the order in which they are shown."""


@dataclass(frozen=True)
class Seed:
    """One seed's candidates on the clips whose answer shows an object: scores and marks [N, K]."""

    right: np.ndarray
    scores: Mapping[str, np.ndarray]
    """Of `semantic`, of each pixel measure, and of the controls; lower is better."""

    def choice(self, way: str, measure: str) -> np.ndarray:
        """Accuracy of a way by clip, [N]."""
        if way == "best":
            return np.asarray(self.right.any(1), np.float64)
        if way == "first":
            return self.right[:, 0].astype(np.float64)
        if way == "record":
            return right_of(self.right, by_record(self.right))
        return right_of(self.right, chosen(self.scores[KEYS.get(way, measure)]))


KEYS = {"semantic": "semantic", "circular": "lpips_alex", "own_loss": "own_loss", "peeking": "answer"}


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """What the rule judges, the tables, and what the figures draw; nothing without every cell."""
    kinds = (DRAWS, VERIFIED, CIRCULAR)
    if any(named(kind, one) not in measured for kind in kinds for one in sizes.seeds):
        return Analysis({})
    seeds = [_seed(plan, [measured[named(kind, one)] for kind in kinds]) for one in sizes.seeds]
    ways = {way: [one.choice(way, plan.measure) for one in seeds] for way in SAYS}
    metrics = {f"{way}_accuracy": _over([_share(of, seed) for of in found]) for way, found in ways.items()}
    for way in (way for way in SAYS if way != "verified"):
        pairs = zip(ways["verified"], ways[way], strict=True)
        metrics[f"verified_less_{way}"] = _over(
            [paired_difference(*pair, seed, "the chosen future is right", proportion=True) for pair in pairs]
        )
    metrics |= _telling(plan, seeds, seed)
    values = documents(metrics)
    series = {"ways": _ways(metrics, ways), "roc": _roc(plan, seeds), "picked": _picked(plan, seeds)}
    return Analysis(values, _tables(plan, seeds, values, ways), series)


def finding(plan: Plan, analysis: Analysis) -> str:
    """What the numbers say."""
    if not analysis.values:
        return "Not every cell was measured, so nothing is said."
    told = {name: said(value) for name, value in analysis.values.items()}
    return (
        f"A future counts as right where its objects overlap the true ones by {plan.right.iou:g} or more in the last "
        f"frame, which nobody who chooses has seen. The predictor's first draw is right on {told['first_accuracy']} of "
        f"the clips, the kind of future with the best record on the others on {told['record_accuracy']}, the future "
        f"nearest in the VLM's tokens to what has come on {told['semantic_accuracy']}, the one nearest in pixels on "
        f"{told['verified_accuracy']}. Clip by clip, the last less the others is {told['verified_less_first']}, "
        f"{told['verified_less_record']} and {told['verified_less_semantic']}; in pixels {commonest(analysis)}. Some "
        f"candidate is right on {told['best_accuracy']}. Within a clip the pixel distance ranks a wrong future behind "
        f"a right one at {told['within_auc']}, between clips at {told['between_auc']} (chance 0.5). Answering the "
        f"{plan.answered.share:.0%} of clips whose first draw verifies best changes accuracy by "
        f"{told['answered_gain']}. A verifier that trained the predictor would change the verifier's accuracy by "
        f"{told['circular_flatters']}, one that sees the answer by {told['peeking_flatters']}."
    )


def commonest(analysis: Analysis) -> str:
    """Which candidate the pixels chose most often."""
    found: Any = analysis.series["picked"]
    name = max(found, key=lambda one: found[one])
    return f"`{name}` is chosen on {found[name]:.0%} of the clips"


def _seed(plan: Plan, cells: Sequence[Measured]) -> Seed:
    by_clip = {name: found for cell in cells for name, found in cell["by_clip"].items()}
    tables = {
        measure: np.array([list(by_clip[f"{one}/{measure}"].values()) for one in plan.candidates], float).T
        for measure in {name.split("/", 1)[1] for name in by_clip}
    }
    overlap = tables.pop("iou")
    there = np.isfinite(overlap).all(1)
    return Seed(overlap[there] >= plan.right.iou, {name: scores[there] for name, scores in tables.items()})


def _telling(plan: Plan, seeds: Sequence[Seed], seed: int) -> dict[str, Metric]:
    """Whether the pixel measure knows right from wrong, and what knowing is worth; and how a circle flatters."""
    found = {name: [] for name in ("within_auc", "semantic_within_auc", "between_auc", "answered_gain")}
    found |= {f"{way}_flatters": [] for way in CONTROLS[:3]}
    for one in seeds:
        scores, first = one.scores[plan.measure], one.right[:, 0]
        ranked = "chance that a wrong candidate of a clip lies further than a right one"
        found["within_auc"].append(bootstrap(within(scores, one.right), seed, ranked))
        found["semantic_within_auc"].append(bootstrap(within(one.scores["semantic"], one.right), seed, ranked))
        under = "area under the ROC of first draws, right against wrong ones; DeLong's influences"
        found["between_auc"].append(bootstrap(area(scores[:, 0], ~first), seed, under))
        kept = most_confident(scores[:, 0], plan.answered.share)
        some = f"accuracy of first draws on the {plan.answered.share:.0%} of clips that verify best, less on all"
        found["answered_gain"].append(bootstrap(gain_of_keeping(first, kept), seed, some))
        verified = one.choice("verified", plan.measure)
        for way in CONTROLS[:3]:
            pair = one.choice(way, plan.measure), verified
            found[f"{way}_flatters"].append(
                paired_difference(*pair, seed, "the chosen future is right", proportion=True)
            )
    return {name: _over(metrics) for name, metrics in found.items()}


def _over(metrics: Sequence[Metric]) -> Metric:
    return over_seeds(metrics, metrics[0].protocol)


def _share(right: np.ndarray, seed: int) -> Metric:
    return bootstrap(right, seed, "share of clips whose chosen future is right", proportion=True)


def _ways(metrics: Mapping[str, Metric], ways: Mapping[str, Sequence[np.ndarray]]) -> list[dict[str, Any]]:
    return [
        {
            "way": way,
            "control": way in CONTROLS,
            "value": metrics[f"{way}_accuracy"].value,
            "low": metrics[f"{way}_accuracy"].low,
            "high": metrics[f"{way}_accuracy"].high,
            "seeds": [float(right.mean()) for right in found],
        }
        for way, found in ways.items()
    ]


def _picked(plan: Plan, seeds: Sequence[Seed]) -> dict[str, Any]:
    """Of each candidate the share of clips on which the pixels chose it, mean over seeds."""
    picks = np.array([chosen(one.scores[plan.measure]) for one in seeds])
    return {name: float((picks == place).mean()) for place, name in enumerate(plan.candidates)}


def _roc(plan: Plan, seeds: Sequence[Seed]) -> list[dict[str, Any]]:
    """Of every seed, first draws by the pixel measure; none of a seed whose draws are all right or all wrong."""
    from sklearn.metrics import roc_curve

    curves = []
    for one in seeds:
        distance, right = one.scores[plan.measure][:, 0], one.right[:, 0]
        if right.any() and not right.all():
            false, true, _ = roc_curve(~right, distance)
            curves.append({"true": true.tolist(), "false": false.tolist()})
    return curves


def _tables(
    plan: Plan, seeds: Sequence[Seed], values: Mapping[str, MetricValue], ways: Mapping[str, Sequence[np.ndarray]]
) -> tuple[Table, ...]:
    rows = tuple(
        (
            way,
            SAYS[way],
            said(values[f"{way}_accuracy"]),
            "" if way == "verified" else said(values[f"verified_less_{way}"], "+"),
            ", ".join(f"{right.mean():.3f}" for right in found),
        )
        for way, found in ways.items()
    )
    columns = ("way", "which future is chosen", "accuracy", "verified less it", "accuracy by seed")
    made = []
    for place, name in enumerate(plan.candidates):
        shares = [float(one.right[:, place].mean()) for one in seeds]
        made.append((name, f"{np.mean(shares):.3f}", f"{_picked(plan, seeds)[name]:.3f}"))
    measures = [name for name in seeds[0].scores if name.startswith(("lpips_vgg", "mobile_sam"))]
    telling = []
    for name in sorted(measures):
        accuracy = np.mean([right_of(one.right, chosen(one.scores[name])).mean() for one in seeds])
        ranks = [within(one.scores[name], one.right) for one in seeds]
        found = _over([bootstrap(some) for some in ranks]).value
        inside = "undefined" if found is None else f"{found:.3f}"
        telling.append((name, f"{accuracy:.3f}", inside, "decides" if name == plan.measure else ""))
    return (
        Table("How often the chosen future is right; controls last", columns, rows),
        Table("The candidates, mean over seeds", ("candidate", "right", "chosen in pixels"), tuple(made)),
        Table("The measures that verify", ("measure", "accuracy", "area within a clip", ""), tuple(telling)),
    )
