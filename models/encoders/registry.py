"""The encoders by name, as a profile names them. A library is imported only when its encoder is asked for."""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.provenance import Pin

if TYPE_CHECKING:
    from models.encoders.base import Encoder

Precision = Literal["float32", "bfloat16", "float16"]


class EncoderError(ValueError):
    """An encoder that does not exist."""


@dataclass(frozen=True)
class Entry:
    """Where an encoder's class is, and what sets this one apart from others of the class."""

    module: str
    encoder: str
    settings: dict[str, Any] = field(default_factory=dict)
    strided: bool = True
    """Whether it gives one step to each latent frame; the language model keeps its own time."""


ENTRIES = {
    "dinov2": Entry("dinov2", "Dinov2Encoder"),
    "dinov2_multi": Entry("dinov2", "Dinov2Encoder", {"layers": "multi"}),
    "qwen": Entry("qwen", "QwenEncoder", strided=False),
    "qwen_premerge": Entry("qwen_premerge", "QwenPremergeEncoder"),
    "sam": Entry("sam", "SamEncoder"),
    "sam_neck": Entry("sam", "SamEncoder", {"neck": True}),
    "mobile_sam": Entry("mobile_sam", "MobileSamEncoder"),
    "siglip": Entry("siglip", "SiglipEncoder"),
    "mae": Entry("mae", "MaeEncoder"),
    "eva_clip": Entry("eva_clip", "EvaClipEncoder"),
}
NAMES = tuple(ENTRIES)


def load_encoder(
    name: str, weights: Path | str, *, stride: int, sha256: Pin | None = None, precision: Precision = "float32"
) -> "Encoder":
    """A frozen encoder, on the CPU.

    Args:
        name: one of `NAMES`.
        weights: a folder of safetensors, or `org/name@COMMIT` of a hub.
        stride: the VAE's frames to a latent frame; every encoder but `qwen` gives one step to each.
        sha256: the pinned `folder_sha256` of the weights, or the sha256 of each file, if they are pinned.
        precision: of its parameters and tokens.

    Raises:
        EncoderError: no encoder has this name.
        WeightsError: the weights are not there, not those pinned, or another model's.
    """
    if name not in ENTRIES:
        raise EncoderError(f"no encoder {name!r}; there are {', '.join(NAMES)}")
    import torch

    entry = ENTRIES[name]
    encoder = getattr(import_module(f"models.encoders.{entry.module}"), entry.encoder)
    time = {"stride": stride} if entry.strided else {}
    return encoder.load(weights, sha256=sha256, dtype=getattr(torch, precision), **entry.settings, **time)
