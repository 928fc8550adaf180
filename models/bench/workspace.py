"""What the ratios are measured on: generated clips in shards, as `foresight run` makes them, in a temporary folder."""

from pathlib import Path

from models.data.generated import write_dataset
from models.data.shards import ClipShards, build_shards

SEED = 20260118
FRAMES, SIDE, TEMPORAL = 9, 64, 2
"""Frames of a clip, height and width, and frames to a latent frame: those of the laptop profile and its stand-ins."""
BATCH = 16
"""Clips in one call of an encoder."""


def shards(folder: Path, clips: int) -> ClipShards:
    """So many generated clips to train on, in shards below `folder`."""
    write_dataset(folder / "data", clips, 0, SEED, frames=FRAMES, size=SIDE)
    build_shards(folder / "data", folder / "shards", frames=FRAMES, size=SIDE)
    return ClipShards(folder / "shards")
