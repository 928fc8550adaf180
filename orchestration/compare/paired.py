"""Any two arms or baselines, of one run or of two, compared clip by clip on the held-out clips they share.

Protocol: the mean over the shared clips of first - second, with the 95% interval of the paired differences
(models/evaluation/metric.py). One is called better only where the whole interval lies on its side of 0. Two clips are
the same when their true frames are: an id that stands for other frames is refused. A metric is compared only where both
sides measured it by one protocol and by one judge: the weights of the network that it is read with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from orchestration.documents import NAMES, Evaluation, MetricValue
from orchestration.plan.programme import Programme

if TYPE_CHECKING:
    import pandas as pd

PAIRED = (*NAMES, "lpips_vgg", "temporal_lpips_variance_dynamic")
"""Names that are compared; what else stands beside a metric is its own chance, ceiling or floor."""
UNDIRECTED = ("temporal_lpips_variance_dynamic",)
"""Companions that say what a clip does and not how well."""
JUDGES = {
    "spatial_iou": ("segmenter", "mobile_sam"),
    "lpips": ("lpips_alex",),
    "lpips_vgg": ("lpips_vgg",),
    "temporal_lpips_variance": ("lpips_alex",),
    "semantic_consistency": ("qwen", "minilm"),
    "fvd": ("i3d",),
}

Better = Literal["first", "second"]


class CompareError(ValueError):
    """Two sides that must not be compared."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    asked: str
    """As the user named it."""
    arm: str
    """An arm or a baseline of the evaluation."""
    evaluation: Evaluation
    values: pd.DataFrame
    """The evaluation's per-clip values (orchestration/compare/clip_values.py)."""

    @property
    def metrics(self) -> dict[str, MetricValue]:
        """What the document says of this arm; of the arm that the gate judges, what it says beside the arms too."""
        groups: dict[str, dict[str, MetricValue]] = {**self.evaluation.arms, **self.evaluation.baselines}
        found = groups[self.arm]
        return {**self.evaluation.metrics, **found} if self.arm == judged(self.evaluation) else found

    def clips(self) -> dict[str, str]:
        """Clip id -> hash of its true frames."""
        rows = self.values[self.values["arm"] == self.arm]
        return dict(zip(rows["clip_id"], rows["clip_sha256"], strict=True))

    def by_clip(self, metric: str) -> pd.Series:
        """The defined values of one metric by clip id; empty where it has none."""
        import numpy as np
        import pandas as pd

        rows = self.values[(self.values["arm"] == self.arm) & (self.values["metric"] == metric)]
        return pd.Series(np.asarray(rows["value"], float), index=rows["clip_id"]).dropna()


def judged(evaluation: Evaluation) -> str:
    """The arm that the gate judges: the hybrid, or the only one there is."""
    arms = list(evaluation.arms)
    return arms[0] if len(arms) == 1 else "hybrid"


def compare(first: Side, second: Side, programme: Programme) -> dict[str, Any]:
    """The comparison as one document, `foresight.comparison/1`.

    Raises:
        CompareError: stand-ins against real weights, other clips under one id, or no clip in common.
    """
    if first.evaluation.standins != second.evaluation.standins:
        standin = first if first.evaluation.standins else second
        raise CompareError(
            f"{standin.asked} was made with stand-ins, the other with real weights: what they measure is not the same;"
            " compare two of a kind"
        )
    shared, both = _shared(first, second), _names(first) & _names(second)
    rows = [_row(name, first, second, shared, programme) for name in PAIRED if name in both]
    if not rows:
        raise CompareError(f"{first.asked} and {second.asked}: no metric that both have; compare two that share one")
    return {
        "schema": "foresight.comparison/1",
        "first": _said(first),
        "second": _said(second),
        "shared_clips": len(shared),
        "notes": _notes(first, second, shared),
        "metrics": rows,
    }


def _names(side: Side) -> set[str]:
    return {name for name, measured in side.metrics.items() if measured.value is not None}


def _shared(first: Side, second: Side) -> list[str]:
    ours, theirs = first.clips(), second.clips()
    shared = sorted(ours.keys() & theirs.keys())
    if other := [clip for clip in shared if ours[clip] != theirs[clip]]:
        raise CompareError(
            f"{len(other)} of {len(shared)} clips, the first {other[0]}, show other frames in {first.asked} than in"
            f" {second.asked}; compare runs on the same data"
        )
    if not shared:
        raise CompareError(f"{first.asked} and {second.asked} share no held-out clip; compare runs on the same data")
    return shared


def _row(name: str, first: Side, second: Side, shared: list[str], programme: Programme) -> dict[str, Any]:
    """One metric; `says` is the answer in words, `better` its side where there is one."""
    import numpy as np

    from models.evaluation.metric import paired_difference
    from models.evaluation.probes import PROPORTIONS

    ours, theirs = first.metrics[name], second.metrics[name]
    row = {"metric": name, "paired": False, "first": ours.value, "second": theirs.value, "difference": None}
    row |= {"low": None, "high": None, "n": 0, "better": None, "protocol": ours.protocol}
    if ours.protocol != theirs.protocol:
        said = f"not compared: the first by {ours.protocol!r}, the second by {theirs.protocol!r}"
        return row | {"says": said, "protocol": None}
    weights = first.evaluation.weights, second.evaluation.weights
    if judges := [one for one in JUDGES.get(name, ()) if weights[0].get(one) != weights[1].get(one)]:
        return row | {"says": f"not compared: read with other weights of {' and '.join(judges)}"}
    mine, other = (np.asarray(side.by_clip(name).reindex(shared), float) for side in (first, second))
    both = np.isfinite(mine) & np.isfinite(other)
    if not both.any():
        return row | {"says": "not paired: one number of the whole set, without values of each clip"}
    mine, other = mine[both], other[both]
    found = paired_difference(mine, other, protocol=ours.protocol, proportion=name in PROPORTIONS)
    base = name if name in programme.metrics else name.rpartition("_")[0]
    metric = programme.metrics[base]
    better, says = _told(found.low, found.high, metric.better, directed=name not in UNDIRECTED)
    if found.n < metric.min_n:
        better, says = None, f"not told apart: {found.n} clips are below {metric.min_n}"
    means = {"first": float(mine.mean()), "second": float(other.mean())}
    measured = {"difference": found.value, "low": found.low, "high": found.high, "n": found.n}
    return row | {"paired": True, **means, **measured, "better": better, "says": says, "protocol": found.protocol}


def _told(low: float | None, high: float | None, direction: str, *, directed: bool) -> tuple[Better | None, str]:
    if low is None or high is None or low <= 0 <= high:
        return None, "not told apart"
    if not directed:
        return None, f"{'first' if low > 0 else 'second'} larger"
    better: Better = "first" if (low > 0) == (direction == "higher") else "second"
    return better, f"{better} better"


def _notes(first: Side, second: Side, shared: list[str]) -> list[str]:
    """What a reader must know beside the numbers."""
    notes = []
    for side in (first, second):
        if len(mine := side.clips()) > len(shared):
            notes.append(f"{side.asked}: {len(mine) - len(shared)} of its {len(mine)} clips are not in the other")
    ours, theirs = first.evaluation, second.evaluation
    if ours.data_version != theirs.data_version:
        notes.append(f"other data versions ({ours.data_version}, {theirs.data_version}); the shared clips are the same")
    if ours.code_commit != theirs.code_commit:
        notes.append(f"other code ({ours.code_commit[:12]}, {theirs.code_commit[:12]})")
    if ours.standins:
        notes.append("made with stand-ins")
    return notes


def _said(side: Side) -> dict[str, Any]:
    evaluation = side.evaluation
    return {
        "asked": side.asked,
        "arm": side.arm,
        "phase": evaluation.phase,
        "run": evaluation.runs.get(side.arm),
        "profile": evaluation.profile,
        "standins": evaluation.standins,
        "data_version": evaluation.data_version,
        "code_commit": evaluation.code_commit,
        "n_clips": evaluation.n_clips,
        "evaluation_sha256": evaluation.sha256,
    }
