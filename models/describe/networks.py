"""The components of the proposal's system on the meta device: counted without weights and without memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from torch import nn
from transformers import AutoConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, T5Config, T5EncoderModel

from models.decoder import published as published_decoder
from models.encoders import published as published_encoders
from models.encoders.dinov2 import Dinov2Encoder
from models.provenance import WeightsError

PUBLISHED = "published sizes"


@dataclass(frozen=True)
class Network:
    """One frozen network without memory behind its parameters."""

    module: nn.Module
    source: str
    """The folder that its configuration was read from, or `PUBLISHED`."""

    @property
    def parameters(self) -> int:
        """How many it has; shared ones count once."""
        return sum(parameter.numel() for parameter in self.module.parameters())


@dataclass(frozen=True)
class _Part:
    weights: str
    """Whose folder it lies in, by the name that a profile has for it."""
    below: str
    of_folder: Callable[[Path], nn.Module]
    published: Callable[[], nn.Module]


def networks(folders: Mapping[str, Path]) -> dict[str, Network]:
    """Every network, by name: of the configuration in its folder where one is given, else of the published sizes.

    Args:
        folders: of dinov2, qwen, vae and ltx, those that are there.

    Raises:
        WeightsError: a folder's configuration is not that of such a network.
    """
    return {name: _network(part, folders.get(part.weights)) for name, part in _PARTS.items()}


def _network(part: _Part, folder: Path | None) -> Network:
    if folder is None:
        return Network(part.published(), PUBLISHED)
    try:
        with torch.device("meta"):
            return Network(part.of_folder(folder / part.below), str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{folder / part.below}: its configuration makes no network ({reason})") from error


def _dinov2(folder: Path) -> nn.Module:
    config = AutoConfig.from_pretrained(folder)
    return Dinov2Encoder.classes[config.model_type](config)


def _qwen(folder: Path) -> nn.Module:
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig.from_pretrained(folder))


def _text_encoder(folder: Path) -> nn.Module:
    return T5EncoderModel(T5Config.from_pretrained(folder))


def _of_diffusers(kind: Any) -> Callable[[Path], nn.Module]:
    return lambda folder: kind.from_config(kind.load_config(folder))


_PARTS = {
    "dinov2": _Part("dinov2", "", _dinov2, lambda: published_encoders.on_meta("dinov2-giant")),
    "qwen": _Part("qwen", "", _qwen, lambda: published_encoders.on_meta("qwen2.5-vl-7b")),
    "vae": _Part("vae", "", _of_diffusers(AutoencoderKLLTXVideo), lambda: published_decoder.on_meta("vae")),
    "transformer": _Part(
        "ltx",
        "transformer",
        _of_diffusers(LTXVideoTransformer3DModel),
        lambda: published_decoder.on_meta("transformer"),
    ),
    "text_encoder": _Part("ltx", "text_encoder", _text_encoder, lambda: published_decoder.on_meta("text_encoder")),
}
