"""Spatial IoU where no mask is known but boxes are: MobileSAM's masks of what the true boxes enclose (§6).

Protocol: in one frame of a clip, the one nearest to its middle that has a box, MobileSAM is prompted by the frame's
boxes; the object mask is the union. The generated frame is prompted by the boxes of the true frame, so only the pixels
differ. The reference is MobileSAM's own mask of the true frame: there is no truth beyond it, and no ceiling but the VAE
round trip. Since the same box is given to both, frames without any object would score too: beside the IoU stands its
null, the IoU of the boxes themselves, filled. Frames that are not looked at are empty in both masks and do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.inputs import MetricInputError, check_clips

if TYPE_CHECKING:
    from models.evaluation.mobile_sam import MobileSam

FrameBoxes = Sequence[Sequence[np.ndarray]]
"""Of each clip and frame: float [K, 4], xyxy in pixels."""


@dataclass(frozen=True)
class BoxPrompted:
    """A segmenter of certain clips: it knows their boxes, and takes those clips or what was generated for them."""

    network: "MobileSam"
    boxes: FrameBoxes
    looked_at: dict[int, int]
    """Of which clips which frame."""

    @classmethod
    def of(cls, network: "MobileSam", boxes: FrameBoxes, *, most: int) -> "BoxPrompted":
        """Of at most so many clips that have a box, evenly spaced among them: a frame costs about a second of CPU."""
        middles = {clip: _nearest_to_middle(frames) for clip, frames in enumerate(boxes)}
        boxed = [clip for clip, frame in middles.items() if frame is not None]
        chosen = [boxed[k * len(boxed) // min(most, len(boxed))] for k in range(min(most, len(boxed)))]
        return cls(network, boxes, {clip: frame for clip in chosen if (frame := middles[clip]) is not None})

    @property
    def standin(self) -> bool:
        return self.network.standin

    @property
    def says(self) -> str:
        """Whose masks these are, for a protocol."""
        return f"MobileSAM, prompted by the true frame's boxes, one frame of each of {len(self.looked_at)} clips"

    def masks(self, frames: np.ndarray) -> np.ndarray:
        """Objects in clips uint8 [N, T, H, W, 3] -> bool [N, T, H, W]; nothing in frames that are not looked at.

        Raises:
            MetricInputError: other clips than those whose boxes these are.
        """
        check_clips(frames, "box-prompted segmenter")
        found = self._none(frames.shape)
        for clip, frame in self.looked_at.items():
            found[clip, frame] = self.network.masks(frames[clip, frame], self.boxes[clip][frame]).any(0)
        return found

    def filled(self, shape: tuple[int, ...]) -> np.ndarray:
        """The boxes themselves as masks of clips of this shape [N, T, H, W, 3]: what is known without any frame."""
        found = self._none(shape)
        for clip, frame in self.looked_at.items():
            for x1, y1, x2, y2 in np.rint(self.boxes[clip][frame]).astype(int):
                found[clip, frame, y1:y2, x1:x2] = True
        return found

    def _none(self, shape: tuple[int, ...]) -> np.ndarray:
        if shape[0] != len(self.boxes) or shape[1] != len(self.boxes[0]):
            given = f"{len(self.boxes)} clips of {len(self.boxes[0]) if len(self.boxes) else 0} frames"
            raise MetricInputError(f"box-prompted segmenter: boxes of {given}, clips {shape}")
        return np.zeros(shape[:4], bool)


def _nearest_to_middle(boxes: Sequence[np.ndarray]) -> int | None:
    """Of the frames with a box the one nearest to the middle."""
    middle = (len(boxes) - 1) / 2
    return min((frame for frame, at in enumerate(boxes) if len(at)), key=lambda k: abs(k - middle), default=None)
