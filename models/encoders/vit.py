"""Vision transformers of the transformers library, read patch by patch."""

from typing import Any, ClassVar, Self

import torch

from models.encoders.base import PatchEncoder
from models.encoders.checkpoint import load_model
from models.pretrained import Checkpoint


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
    def read(cls, checkpoint: Checkpoint, dtype: torch.dtype, **settings: Any) -> Self:
        return cls(load_model(checkpoint, cls.classes, dtype=dtype), **checkpoint.identity(), **settings)
