"""All metrics that a generated clip and its true clip allow, per clip, each computed once (§6).

`Reference` holds what is computed of the true clips; every arm and baseline is compared with the same one.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from models.evaluation import edges, iou, semantic, temporal
from models.evaluation.inputs import MetricInputError, check_clips, check_pair, chunks, distinct
from models.evaluation.lpips import Features, Lpips
from models.evaluation.metric import Metric, bootstrap
from models.evaluation.prompted import BoxPrompted
from models.evaluation.segmenter import Segmenter
from models.evaluation.semantic import SentenceEmbedder

FEATURE_BYTES = 1_500_000_000  # the backbone's features of the true frames are kept up to here, else made again
Values = dict[str, np.ndarray]


class Reference:
    """The true side: clips uint8 [N, T, H, W, 3], with masks [N, T, H, W] and captions where there are any.

    Without true masks the segmenter's own masks of the true frames stand in their place, and the protocol says so; so
    they do where boxes prompt the segmenter.
    """

    def __init__(
        self,
        frames: np.ndarray,
        lpips: Lpips,
        *,
        masks: np.ndarray | None = None,
        segmenter: Segmenter | BoxPrompted | None = None,
        captions: Sequence[str | None] | None = None,
        embedder: SentenceEmbedder | None = None,
    ):
        self.frames = check_clips(frames, "reference")
        if masks is not None and masks.shape != frames.shape[:-1]:
            raise MetricInputError(f"masks {masks.shape} do not fit clips {frames.shape}")
        if captions is not None and len(captions) != len(frames):
            raise MetricInputError(f"{len(captions)} captions for {len(frames)} clips")
        self.lpips, self.segmenter, self.embedder = lpips, segmenter, embedder
        self.true_masks, self.captions = masks, captions
        self._features: dict[int, Features] = {}
        self._kept_bytes = 0

    @property
    def chunks(self) -> list[slice]:
        """Runs of frames, all clips end to end, in which features are made."""
        return list(chunks(self._flat))

    @property
    def _flat(self) -> np.ndarray:
        return self.frames.reshape(-1, *self.frames.shape[2:])

    def features(self, some: slice) -> Features:
        """Backbone features of a run of frames, one of `chunks`."""
        if some.start in self._features:
            return self._features[some.start]
        made = _features(self.lpips, self._flat[some])
        size = sum(layer.numel() * layer.element_size() for layer in made)
        if self._kept_bytes + size <= FEATURE_BYTES:
            self._features[some.start] = made
            self._kept_bytes += size
        return made

    @cached_property
    def edges(self) -> np.ndarray:
        return edges.thin_edges(self.frames)

    @cached_property
    def segmented(self) -> np.ndarray | None:
        """The segmenter's masks of the true frames."""
        return self.segmenter.masks(self.frames) if self.segmenter else None

    @property
    def masks(self) -> np.ndarray | None:
        """What generated masks are compared with."""
        return self.segmented if self.true_masks is None else self.true_masks

    @cached_property
    def ceiling(self) -> np.ndarray | None:
        """The segmenter's IoU on true frames [N]: no generated frame can be expected to do better."""
        if self.true_masks is None or self.segmented is None:
            return None
        return iou.mask_iou(self.true_masks, self.segmented)

    @cached_property
    def from_boxes(self) -> np.ndarray | None:
        """IoU of the prompting boxes, filled, with the reference masks [N]: what a frame of anything would have."""
        if not isinstance(self.segmenter, BoxPrompted) or self.masks is None:
            return None
        return iou.mask_iou(self.masks, self.segmenter.filled(self.frames.shape))

    @cached_property
    def temporal_variance(self) -> np.ndarray:
        """Temporal LPIPS variance of the true clips [N]."""
        last, steps = None, []
        for some in self.chunks:
            made = self.features(some)
            steps.append(self._steps(last, made))
            last = _last(made)
        return temporal.temporal_lpips_variance(self._by_clip(steps)[:, 1:])

    @cached_property
    def caption_vectors(self) -> np.ndarray | None:
        if self.captions is None or self.embedder is None:
            return None
        return self.embedder.embed(self.captions)

    def _steps(self, last: Features | None, made: Features) -> np.ndarray:
        """LPIPS of each frame to the one before; what stands for the first of all is never read."""
        before = _last(made) if last is None else last
        earlier = [torch.cat([first, layer[:-1]]) for first, layer in zip(before, made, strict=True)]
        return self.lpips.between(earlier, made)

    def _by_clip(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts).reshape(self.frames.shape[:2])

    def perceptual(self, generated: np.ndarray) -> Values:
        """LPIPS to the true frames and between consecutive generated frames; each frame is seen once."""
        flat, last = generated.reshape(-1, *generated.shape[2:]), None
        distances, steps = [], []
        for some in self.chunks:
            made = _features(self.lpips, flat[some])
            distances.append(self.lpips.between(self.features(some), made))
            steps.append(self._steps(last, made))
            last = _last(made)
        values = {"lpips": self._by_clip(distances).mean(1)}
        if generated.shape[1] >= temporal.SHORTEST:
            values["temporal_lpips_variance"] = temporal.temporal_lpips_variance(self._by_clip(steps)[:, 1:])
            values["temporal_lpips_variance_true"] = self.temporal_variance
        return values

    def protocols(self) -> dict[str, str]:
        """The protocol of each name that `reconstruction_metrics` gives."""
        _, frames, height, width, _ = self.frames.shape
        setting = f"{frames} frames of {height}x{width}"
        texts = {
            "lpips": self.lpips.protocol,
            "spatial_iou": self._spatial_protocol(),
            "spatial_iou_null": "IoU of the prompting boxes themselves, filled, and the reference mask",
            "spatial_iou_lift": "paired over clips: the clip's IoU less that of its boxes alone",
            "spatial_iou_ceiling": "IoU of the frozen segmenter's mask of the true frame and the true mask",
            "edge_f1": edges.PROTOCOL,
            "temporal_lpips_variance": temporal.PROTOCOL,
            "temporal_lpips_variance_true": "the same of the true clips",
            "dynamic_degree": temporal.DYNAMIC_PROTOCOL,
            "dynamic_degree_true": "the same of the true clips",
            "semantic_consistency": semantic.PROTOCOL,
            **semantic.beside("semantic_consistency"),
        }
        return {name: f"{text}; {setting}" for name, text in texts.items()}

    def _spatial_protocol(self) -> str:
        if isinstance(self.segmenter, BoxPrompted):
            return f"{iou.PROTOCOL_WITHOUT_TRUTH}: {self.segmenter.says}"
        return iou.PROTOCOL if self.true_masks is not None else iou.PROTOCOL_WITHOUT_TRUTH


def _features(lpips: Lpips, frames: np.ndarray) -> Features:
    """Backbone features of frames [F, H, W, 3]."""
    shown, places = distinct(frames[None])
    return [layer[places[0]] for layer in lpips.features(shown)]


def _last(made: Features) -> Features:
    """Of the last frame alone."""
    return [layer[-1:].clone() for layer in made]


def reconstruction_metrics(
    reference: Reference, generated: np.ndarray, captions: Sequence[str | None] | None = None
) -> Values:
    """Every metric of generated clips uint8 [N, T, H, W, 3] against the true ones, per clip [N], NaN = undefined.

    `captions` are the VLM's of the generated clips; those of the true clips are the reference's.

    Raises:
        MetricInputError: other numbers, lengths or sizes of clips, NaN pixels, a wrong value range.
    """
    check_pair(reference.frames, generated)
    values = reference.perceptual(generated)
    values["edge_f1"] = edges.edge_f1(reference.edges, edges.thin_edges(generated))
    values["dynamic_degree"] = temporal.dynamic_degree(generated)
    values["dynamic_degree_true"] = temporal.dynamic_degree(reference.frames)
    if reference.segmenter is not None and reference.masks is not None:
        values["spatial_iou"] = iou.mask_iou(reference.masks, reference.segmenter.masks(generated))
    if reference.ceiling is not None:
        values["spatial_iou_ceiling"] = reference.ceiling
    if reference.from_boxes is not None:
        values["spatial_iou_null"] = reference.from_boxes
        values["spatial_iou_lift"] = values["spatial_iou"] - reference.from_boxes
    if captions is not None and reference.caption_vectors is not None and reference.embedder is not None:
        values |= semantic.consistency(reference.embedder.embed(captions), reference.caption_vectors)
    return values


def summarise(values: Values, protocols: dict[str, str], seed: int = 0) -> dict[str, Metric]:
    """Per-clip values -> metrics with intervals over clips."""
    return {name: bootstrap(value, seed, protocols.get(name, "")) for name, value in values.items()}
