"""At which sizes the networks are built and called: the proposal's on a GPU, small ones elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import yaml

from models.fusion.config import proposed

Size = Literal["true", "small"]
PROFILE = Path(__file__).parents[2] / "config" / "profiles" / "a100.yaml"
LTX_CELL, LTX_STEP = 32, 8
"""Pixels and frames to a latent of LTX-Video's VAE; here so that the rest can be measured without diffusers."""


class BenchError(ValueError):
    """A benchmark that cannot be run as asked."""


@dataclass(frozen=True)
class Setting:
    """Everything that the time and the memory of a call depend on, but the machine."""

    size: Size
    device: str
    precision: Literal["fp32", "bf16"]
    """Of the frozen networks in inference; autocast's in training, whose weights are float32, as the phases have it."""
    frames: int
    """Of a clip."""
    side: int
    """Height and width of a frame in pixels."""
    channels: int
    """Of a latent cell."""
    spatial: int
    """Pixels to a latent cell, in height and in width."""
    temporal: int
    """Frames to a latent frame, after the first."""
    caption_channels: int
    fusion: dict[str, Any]
    """Those numbers of its configuration that do not follow from the others."""
    batches: tuple[int, int, int]
    """Clips a step of Phases 1, 2 and 3."""
    lora_rank: int
    sampling_steps: int

    @property
    def dtype(self) -> torch.dtype:
        """`precision` as torch names it."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    @property
    def on_gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @property
    def told(self) -> str:
        """The setting in words, as it stands beside every figure."""
        words = "the proposal's sizes" if self.size == "true" else "small sizes, which say nothing of the proposal's"
        return (
            f"random weights at {words}; {self.frames} frames of {self.side}x{self.side}, "
            f"{self.sampling_steps} sampling steps, {self.precision}, {self.device}"
        )


def setting(size: str | None = None) -> Setting:
    """The setting of a size; without one, true size where there is a GPU and small where there is none.

    Raises:
        BenchError: no such size, or true size without a GPU or without the profile.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = size or ("true" if device == "cuda" else "small")
    if size not in get_args(Size):
        raise BenchError(f"bench: no size {size!r}; there are {' and '.join(get_args(Size))}")
    if size == "small":
        return _small(device)
    if device == "cpu":
        raise BenchError("bench: true size needs a GPU and there is none here; use --size small")
    return true_size(PROFILE)


def true_size(path: Path) -> Setting:
    """The proposal's sizes on a GPU: those of a profile, with clips of the five latent frames of design §4.8.

    Raises:
        BenchError: the profile cannot be read.
    """
    try:
        profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BenchError(f"bench: the profile {path} cannot be read ({error}); run from a whole checkout") from error
    fusion = proposed()
    return Setting(
        size="true",
        device="cuda",
        precision="bf16",
        frames=(fusion.latent_frames - 1) * LTX_STEP + 1,
        side=profile["clips"]["size"],
        channels=fusion.latent_channels,
        spatial=LTX_CELL,
        temporal=LTX_STEP,
        caption_channels=fusion.caption_channels,
        fusion=profile["fusion"],
        batches=(profile["phase1"]["batch"], profile["phase2"]["batch"], profile["phase3"]["batch"]),
        lora_rank=profile["lora"]["rank"],
        sampling_steps=profile["evaluation"]["sampling_steps"],
    )


def _small(device: str) -> Setting:
    """The stand-ins' networks on clips smaller than theirs."""
    return Setting(
        size="small",
        device=device,
        precision="bf16" if device == "cuda" else "fp32",
        frames=5,
        side=32,
        channels=64,
        spatial=8,
        temporal=2,
        caption_channels=64,
        fusion={"dim": 192, "heads": 4, "layers": 2},
        batches=(2, 2, 2),
        lora_rank=4,
        sampling_steps=2,
    )


@contextmanager
def fresh(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Modules made inside get random weights of `dtype` directly on `device`, never in the host's memory."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)
