"""What each metric makes of clips that are spoiled in a known way: its value, and on how many clips it saw it.

Temporal ordering, direction, BBox IoU and mAP never see a generated frame in an evaluation: there they are read from
stored tokens and the conditioning. Here probes read them from the tokens of the spoiled clips, encoded anew
(`models.evaluation.representation`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.evaluation.disturbances import DISTURBANCES
from models.evaluation.evaluate import Reference, Values, reconstruction_metrics
from models.evaluation.fvd import frechet_distance, fvd_name, logits
from models.evaluation.lpips import Lpips, clip_lpips
from models.evaluation.metric import Metric, bootstrap, point
from models.evaluation.probes import PROPORTIONS

Progress = Callable[[str, int, int, dict[str, float]], None]
Captioner = Callable[[np.ndarray], list[str]]
Probed = Callable[[np.ndarray], tuple[Values, float]]
"""Per-clip values that probes read of the tokens of clips, and mAP@0.5 of them all."""
UNTOUCHED = "untouched"
BETTER = {
    "lpips": "lower",
    "lpips_vgg": "lower",
    "edge_f1": "higher",
    "spatial_iou": "higher",
    "semantic_consistency": "higher",
    "temporal_lpips_variance": "lower",
    "dynamic_degree": "higher",
    "bbox_iou": "higher",
    "temporal_ordering": "higher",
    "direction": "higher",
}
"""Which way a metric is read. The dynamic degree is no mark of quality; less motion is counted as worse."""
SAME = 1e-6
"""Up to this two values of a metric are equal."""


@dataclass(frozen=True)
class Reaction:
    """One metric under one disturbance."""

    metric: Metric
    balance: float | None
    """Share of clips that it calls worse than untouched, less the share it calls better: 1 sees it on every clip, 0 is
    blind, -1 takes it for an improvement. None for a metric of the whole set.
    """


Table = dict[str, dict[str, Reaction]]
"""By disturbance, then by metric."""


def reactions(
    reference: Reference,
    *,
    captioner: Captioner | None = None,
    network: Callable | None = None,
    probed: Probed | None = None,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> Table:
    """Every metric of the reference's own clips, untouched and under each disturbance.

    Args:
        reference: the true clips; objects are removed only where it has true masks.
        captioner: for semantic consistency; the reference then has captions and an embedder.
        network: I3D, for FVD.
        probed: for what is read from the frozen representation.
    """
    vgg, masks = Lpips("vgg"), reference.true_masks
    wanted = {name: one for name, one in DISTURBANCES.items() if masks is not None or not one.needs_masks}
    spoiled = {UNTOUCHED: reference.frames} | {name: one.apply(reference.frames, masks) for name, one in wanted.items()}
    true_logits = logits(network, reference.frames) if network else None
    found: dict[str, Values] = {}
    table: Table = {}
    for done, (name, clips) in enumerate(spoiled.items()):
        values = reconstruction_metrics(reference, clips, captioner(clips) if captioner else None)
        read, mean_precision = probed(clips) if probed else ({}, None)
        found[name] = values | {"lpips_vgg": clip_lpips(vgg, reference.frames, clips)} | read
        table[name] = {
            metric: Reaction(
                bootstrap(found[name][metric], seed, proportion=metric in PROPORTIONS),
                _balance(metric, found[UNTOUCHED][metric], found[name][metric]),
            )
            for metric in BETTER
            if metric in found[name]
        }
        if mean_precision is not None:
            table[name]["map50"] = Reaction(point(mean_precision, len(clips), ""), None)
        if network and true_logits is not None:
            made_logits = true_logits if name == UNTOUCHED else logits(network, clips)
            distance = frechet_distance(true_logits, made_logits)
            table[name][fvd_name(len(clips))] = Reaction(point(distance, len(clips), ""), None)
        progress("disturbances", done + 1, len(spoiled), {})
    return table


def _balance(metric: str, untouched: np.ndarray, disturbed: np.ndarray) -> float | None:
    gain = (disturbed - untouched) * (1 if BETTER[metric] == "higher" else -1)
    gain = gain[np.isfinite(gain)]
    if not len(gain):
        return None
    return float((gain < -SAME).mean() - (gain > SAME).mean())
