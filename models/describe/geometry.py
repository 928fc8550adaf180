"""How wide and how fine the frozen networks are, as their checkpoints' configurations say; and the fusion between them.

No torch: a run asks before anything is started.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.fusion.config import FusionConfig


class GeometryError(ValueError):
    """A checkpoint's configuration that lacks a size, or clips that do not fit."""


@dataclass(frozen=True)
class Geometry:
    """Widths of tokens, and pixels and frames to a token. The defaults are the proposal's networks."""

    spatial_dim: int = 1536
    spatial_patch: int = 14
    semantic_dim: int = 3584
    semantic_cell: int = 28
    """Pixels to a token of the VLM, after its merger."""
    semantic_step: int = 2
    """Frames to a temporal group of the VLM."""
    latent_channels: int = 128
    latent_cell: int = 32
    latent_step: int = 8
    caption_channels: int = 4096

    def require_fit(self, frames: int, size: int) -> None:
        """Refuse clips that the networks would crop, pad or cut.

        Raises:
            GeometryError: says which network they do not fit.
        """
        for name in ("spatial_patch", "semantic_cell", "latent_cell"):
            if size % getattr(self, name):
                raise GeometryError(
                    f"clips of {size}x{size} pixels do not tile into {name}={getattr(self, name)}; change clips.size"
                )
        if (frames - 1) % self.latent_step:
            raise GeometryError(f"clips of {frames} frames are not {self.latent_step}k+1; change clips.frames")

    def fusion(self, frames: int, size: int, choices: Mapping[str, Any]) -> FusionConfig:
        """The fusion of `choices` for clips of so many frames of size x size pixels that fit.

        Raises:
            FusionError: the choices are none.
        """
        patches, cells, latents = (
            max(1, size // side) for side in (self.spatial_patch, self.semantic_cell, self.latent_cell)
        )
        return FusionConfig(
            spatial_dim=self.spatial_dim,
            semantic_dim=self.semantic_dim,
            latent_channels=self.latent_channels,
            caption_channels=self.caption_channels,
            latent_frames=(frames - 1) // self.latent_step + 1,
            latent_grid=(latents, latents),
            spatial_grid=(patches, patches),
            semantic_grid=(cells, cells),
            semantic_frames=-(-frames // self.semantic_step),
            **choices,
        )


CONFIGURATIONS = {
    "dinov2": "config.json",
    "qwen": "config.json",
    "vae": "config.json",
    "ltx": "transformer/config.json",
}
"""Where in the folder of its weights a network's sizes stand."""


def read(folders: Mapping[str, Path]) -> Geometry:
    """The geometry of the checkpoints in `folders`, of dinov2, qwen, vae and ltx; the proposal's where there is none.

    Raises:
        GeometryError: a configuration cannot be read, or lacks a size.
    """
    found: dict[str, int] = {}
    sizes = {"dinov2": _dinov2, "qwen": _qwen, "vae": _vae, "ltx": _ltx}
    for name, folder in folders.items():
        path = folder / CONFIGURATIONS[name]
        try:
            found |= sizes[name](json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GeometryError(f"{path}: gives no sizes of {name} ({error!r}); fetch the folder again") from error
    return Geometry(**found)


def _dinov2(config: dict[str, Any]) -> dict[str, int]:
    return {"spatial_dim": config["hidden_size"], "spatial_patch": config["patch_size"]}


def _qwen(config: dict[str, Any]) -> dict[str, int]:
    """Folders of before transformers 5 have the language model's sizes at the top."""
    vision, text = config["vision_config"], config.get("text_config", config)
    return {
        "semantic_dim": text["hidden_size"],
        "semantic_cell": vision.get("patch_size", 14) * vision.get("spatial_merge_size", 2),
        "semantic_step": vision.get("temporal_patch_size", 2),
    }


def _vae(config: dict[str, Any]) -> dict[str, int]:
    """As diffusers counts: what a configuration states, else patches times halvings."""
    halved = 2 ** sum(config["spatio_temporal_scaling"])
    return {
        "latent_channels": config["latent_channels"],
        "latent_cell": config.get("spatial_compression_ratio") or config["patch_size"] * halved,
        "latent_step": config.get("temporal_compression_ratio") or config["patch_size_t"] * halved,
    }


def _ltx(config: dict[str, Any]) -> dict[str, int]:
    return {"caption_channels": config["caption_channels"]}
