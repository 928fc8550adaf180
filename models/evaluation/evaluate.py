"""All metrics that a generated clip and its true clip allow, per clip, each computed once (§6).

`Reference` holds what is computed of the true clips; every arm and baseline is compared with the same one. A frame is
looked at once however often it comes, and what is known of the same clips from before is not measured again.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch

from models.evaluation import edges, iou, semantic, temporal
from models.evaluation.inputs import MetricInputError, check_clips, check_pair, chunks
from models.evaluation.known import Known
from models.evaluation.lpips import Features, Lpips
from models.evaluation.metric import Metric, bootstrap
from models.evaluation.prompted import BoxPrompted
from models.evaluation.seen import Seen
from models.evaluation.segmenter import Segmenter
from models.evaluation.semantic import SentenceEmbedder

FEATURE_BYTES = 600_000_000  # the backbone's features of frames are kept up to here, else made again
MASK_BYTES = 300_000_000  # so are their edges and their masks
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
        known: Known | None = None,
    ):
        self.frames = check_clips(frames, "reference")
        if masks is not None and masks.shape != frames.shape[:-1]:
            raise MetricInputError(f"masks {masks.shape} do not fit clips {frames.shape}")
        if captions is not None and len(captions) != len(frames):
            raise MetricInputError(f"{len(captions)} captions for {len(frames)} clips")
        self.lpips, self.segmenter, self.embedder = lpips, segmenter, embedder
        self.true_masks, self.captions = masks, captions
        self.known = known
        self.seen = {
            "LPIPS (alex)": Seen(lpips.features, FEATURE_BYTES),
            "edges": Seen(lambda shown: [torch.from_numpy(edges.thin_edges(shown[None])[0])], MASK_BYTES),
        }
        if isinstance(segmenter, Segmenter):
            self.seen["segmenter"] = Seen(lambda shown: [torch.from_numpy(segmenter.masks(shown[None])[0])], MASK_BYTES)

    @property
    def chunks(self) -> list[slice]:
        """Runs of frames, all clips end to end, in which features are made."""
        return list(chunks(self._flat))

    @property
    def _flat(self) -> np.ndarray:
        return self.frames.reshape(-1, *self.frames.shape[2:])

    def features(self, some: slice) -> Features:
        """Backbone features of a run of frames, one of `chunks`."""
        return self.seen["LPIPS (alex)"](self._flat[some])

    def edges_of(self, clips: np.ndarray) -> np.ndarray:
        """Thin edges of clips [N, T, H, W, 3] -> bool [N, T, H, W]."""
        return self._frame_by_frame("edges", clips)

    def masks_of(self, clips: np.ndarray) -> np.ndarray:
        """The segmenter's masks of clips [N, T, H, W, 3] -> bool [N, T, H, W]."""
        if isinstance(self.segmenter, BoxPrompted):  # its masks depend on the boxes, not on the frame alone
            return self.segmenter.masks(clips)
        return self._frame_by_frame("segmenter", clips)

    def _frame_by_frame(self, what: str, clips: np.ndarray) -> np.ndarray:
        return self.seen[what](clips.reshape(-1, *clips.shape[2:]))[0].numpy().reshape(clips.shape[:-1])

    @cached_property
    def edges(self) -> np.ndarray:
        return self.edges_of(self.frames)

    @cached_property
    def segmented(self) -> np.ndarray | None:
        """The segmenter's masks of the true frames."""
        return self.masks_of(self.frames) if self.segmenter else None

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
            made = self.seen["LPIPS (alex)"](flat[some])
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
    if reference.known is None or isinstance(reference.segmenter, BoxPrompted):  # boxes are in no row's key
        values = _measured(reference, generated)
    else:
        values = _known(reference, generated, reference.known, reference.segmenter)
    if captions is not None and reference.caption_vectors is not None and reference.embedder is not None:
        values |= semantic.consistency(reference.embedder.embed(captions), reference.caption_vectors)
    return values


def _edges(reference: Reference, generated: np.ndarray) -> Values:
    return {"edge_f1": edges.edge_f1(reference.edges, reference.edges_of(generated))}


def _motion(reference: Reference, generated: np.ndarray) -> Values:
    clips = {"dynamic_degree": generated, "dynamic_degree_true": reference.frames}
    return {name: temporal.dynamic_degree(shown) for name, shown in clips.items()}


def _objects(reference: Reference, generated: np.ndarray) -> Values:
    values = {}
    if reference.segmenter is not None and reference.masks is not None:
        values["spatial_iou"] = iou.mask_iou(reference.masks, reference.masks_of(generated))
    if reference.ceiling is not None:
        values["spatial_iou_ceiling"] = reference.ceiling
    if reference.from_boxes is not None:
        values["spatial_iou_null"] = reference.from_boxes
        values["spatial_iou_lift"] = values["spatial_iou"] - reference.from_boxes
    return values


FAMILIES: dict[str, Callable[[Reference, np.ndarray], Values]] = {
    "LPIPS and its variance": lambda reference, generated: reference.perceptual(generated),
    "Edge F1": _edges,
    "dynamic degree": _motion,
    "Spatial IoU": _objects,
}
"""What is measured of frames alone, family by family."""


def _measured(reference: Reference, generated: np.ndarray) -> Values:
    return {name: value for family in FAMILIES.values() for name, value in family(reference, generated).items()}


def _known(reference: Reference, generated: np.ndarray, known: Known, segmenter: Segmenter | None) -> Values:
    """What is known of these very clips and networks, else what is measured now, which is then known."""
    networks = f"{reference.lpips.weights_sha256} {segmenter.weights_sha256 if segmenter else 'no segmenter'}"
    sides = [reference.frames, generated, *([] if reference.true_masks is None else [reference.true_masks])]
    keys = [known.key(networks, *clip) for clip in zip(*sides, strict=True)]

    def rows() -> list[dict[str, float]]:
        values = _measured(reference, generated)
        return [{name: float(value[clip]) for name, value in values.items()} for clip in range(len(generated))]

    found = known.rows(keys, rows)
    return {name: np.array([row[name] for row in found], np.float64) for name in found[0]}


def summarise(values: Values, protocols: dict[str, str], seed: int = 0) -> dict[str, Metric]:
    """Per-clip values -> metrics with intervals over clips."""
    return {name: bootstrap(value, seed, protocols.get(name, "")) for name, value in values.items()}
