"""Bytes of a clip's cached features and latents, from their shapes and the precision that they are stored in.

As `models.data.features` stores them: tokens in fp16 or int8 with a mask, latents in fp16. What a file holds once for
all its clips (positions, int8's scales) is left out: it is below a thousandth.
"""

from models.data.features import FLOAT16, INT8
from models.fusion.config import FusionConfig

CLIPS = 100_000
"""§5.4: "~100K video-action pairs"."""
WIDTHS = {FLOAT16: 2, INT8: 1}


def bytes_a_clip(fusion: FusionConfig) -> dict[str, dict[str, int]]:
    """By stream (dinov2, qwen, latents) and by precision that it can be stored in."""
    where = fusion.latent_frames * fusion.spatial_grid[0] * fusion.spatial_grid[1]
    what = fusion.semantic_frames * fusion.semantic_grid[0] * fusion.semantic_grid[1]
    cells = fusion.latent_frames * fusion.latent_grid[0] * fusion.latent_grid[1]
    return {
        "dinov2": {name: where * (fusion.spatial_dim * width + 1) for name, width in WIDTHS.items()},
        "qwen": {name: what * (fusion.semantic_dim * width + 1) for name, width in WIDTHS.items()},
        "latents": {FLOAT16: cells * fusion.latent_channels * WIDTHS[FLOAT16]},
    }
