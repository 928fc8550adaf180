"""At which sizes the networks are built and called: the proposal's on a GPU, small ones elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch

Size = Literal["true", "small"]


class BenchError(ValueError):
    """A benchmark that cannot be run as asked."""


@dataclass(frozen=True)
class Setting:
    """Everything that the time and the memory of a call depend on, but the machine."""

    size: Size
    device: str
    frames: int
    """Of a clip."""
    side: int
    """Height and width of a frame in pixels."""
    sampling_steps: int
    channels: int
    """Of a latent cell."""
    spatial: int
    """Pixels to a latent cell, in height and in width."""
    temporal: int
    """Frames to a latent frame, after the first."""
    caption_channels: int
    dim: int
    heads: int
    layers: int
    """Of the fusion."""
    batches: tuple[int, int, int]
    """Clips a step of Phases 1, 2 and 3."""
    lora_rank: int

    @property
    def dtype(self) -> torch.dtype:
        """Of the networks in inference; training keeps float32 weights under autocast, as the phases do."""
        return torch.bfloat16 if self.on_gpu else torch.float32

    @property
    def on_gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @property
    def told(self) -> str:
        """The setting in words, as it stands beside every figure."""
        words = "the proposal's sizes" if self.size == "true" else "small sizes, which say nothing of the proposal's"
        precision = "bf16" if self.on_gpu else "fp32"
        return (
            f"random weights at {words}; {self.frames} frames of {self.side}x{self.side}, "
            f"{self.sampling_steps} sampling steps, {precision}, {self.device}"
        )


def setting(size: str | None = None) -> Setting:
    """The setting of a size; without one, true size where there is a GPU and small where there is none.

    True size is that of the profile a100 with clips of five latent frames (design §4.8); small is the stand-ins'.

    Raises:
        BenchError: no such size, or true size without a GPU.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = size or ("true" if device == "cuda" else "small")
    if size not in get_args(Size):
        raise BenchError(f"bench: no size {size!r}; there are {' and '.join(get_args(Size))}")
    if size == "true":
        if device == "cpu":
            raise BenchError("bench: true size needs a GPU and there is none here; use --size small")
        clip, latent, fusion = (33, 224, 8), (128, 32, 8, 4096), (640, 8, 4)
        return Setting("true", device, *clip, *latent, *fusion, batches=(16, 16, 4), lora_rank=16)
    clip, latent, fusion = (5, 32, 2), (64, 8, 2, 64), (192, 4, 2)
    return Setting("small", device, *clip, *latent, *fusion, batches=(2, 2, 2), lora_rank=4)


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
