"""Every metric that pairs of clips allow, with intervals over clips (§6, §11).

LPIPS, Edge F1, temporal variance and FVD need only the clips. Spatial IoU needs a segmenter, semantic consistency a
model that captions: without one the metric is left out, not guessed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from models.evaluation.evaluate import Reference, Values, reconstruction_metrics
from models.evaluation.fvd import fvd, logits
from models.evaluation.i3d import I3D
from models.evaluation.lpips import Lpips, clip_lpips
from models.evaluation.metric import Metric, bootstrap
from models.evaluation.pairs import Clips
from models.evaluation.segmenter import Segmenter
from models.evaluation.semantic import SentenceEmbedder

Progress = Callable[[str, int, int, dict[str, float]], None]
Captioner = Callable[[np.ndarray], list[str]]
"""Captions of clips uint8 [N, T, H, W, 3]."""


def measure(
    groups: Sequence[Clips],
    *,
    segmenter: Segmenter | None = None,
    captioner: Captioner | None = None,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> dict[str, Metric]:
    """Metrics of generated against reference clips; values are per clip, whatever the sizes of the groups.

    Semantic consistency's shuffled baseline needs other clips of the same size; it is left out where there are none.

    Raises:
        MetricInputError: frames too small for a metric's network.
        WeightsError: a metric's weights are not fetched.
    """
    alex, vgg = Lpips("alex"), Lpips("vgg")
    embedder = SentenceEmbedder() if captioner else None
    parts: list[Values] = []
    protocols: dict[str, str] = {"lpips_vgg": vgg.protocol}
    for done, clips in enumerate(groups):
        captions = captioner(clips.reference) if captioner else None
        reference = Reference(
            clips.reference, alex, segmenter=segmenter, captions=captions, embedder=embedder
        )  # fmt: skip
        values = reconstruction_metrics(reference, clips.generated, captioner(clips.generated) if captioner else None)
        parts.append(values | {"lpips_vgg": clip_lpips(vgg, clips.reference, clips.generated, progress)})
        for name, text in reference.protocols().items():
            protocols[name] = text if protocols.get(name, text) == text else _of_several_sizes(text)
        progress("metrics", done + 1, len(groups), {})
    names = dict.fromkeys(name for values in parts for name in values)
    metrics = {
        name: bootstrap(np.concatenate([part[name] for part in parts if name in part]), seed, protocols[name])
        for name in names
        if name in protocols
    }
    return metrics | _fvd(groups, seed, progress)


def _of_several_sizes(protocol: str) -> str:
    return f"{protocol.rpartition(';')[0]}; clips of several sizes"


def _fvd(groups: Sequence[Clips], seed: int, progress: Progress) -> dict[str, Metric]:
    """FVD of all clips together; none of a single one, which has no covariance."""
    if sum(len(clips.names) for clips in groups) < 2:
        return {}
    network = I3D()
    true = np.concatenate([logits(network, clips.reference, progress) for clips in groups])
    made = np.concatenate([logits(network, clips.generated, progress) for clips in groups])
    name, value = fvd(true, made, seed)
    return {name: value}
