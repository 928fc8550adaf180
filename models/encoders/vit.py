"""Vision transformers of the transformers library, read patch by patch."""

from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from models.encoders.base import PatchEncoder
from models.encoders.checkpoint import load_model, locate


class VitEncoder(PatchEncoder):
    """A patch encoder whose model says its own width and patch, and is loaded by `from_pretrained`."""

    classes: ClassVar[dict[str, Any]]
    """The model's class, by the `model_type` of a folder's configuration."""

    def __init__(self, model: Any, *, stride: int, weights_sha256: str, standin: bool):
        config = model.config
        super().__init__(
            model,
            dim=config.hidden_size,
            patch=config.patch_size,
            stride=stride,
            weights_sha256=weights_sha256,
            standin=standin,
        )

    @classmethod
    def load(
        cls,
        weights: Path | str,
        *,
        stride: int,
        sha256: str | None = None,
        dtype: torch.dtype = torch.float32,
        **said: Any,
    ) -> Self:
        """Load a folder written by `save_pretrained`, or `org/name@COMMIT`; `stride` is the VAE's frames to a latent
        frame, `sha256` the pinned hash of the weights, `said` what the encoder itself wants to know.

        Raises:
            WeightsError: the weights are not there, not those pinned, or not this encoder's.
        """
        checkpoint = locate(weights, sha256)
        model = load_model(checkpoint, cls.classes, dtype=dtype)
        return cls(model, stride=stride, **checkpoint.identity(), **said)
