"""What a fusion module is built from, and the named configurations (design §4.1)."""

from dataclasses import dataclass, replace


class FusionError(ValueError):
    """A fusion configuration or its input that cannot be used."""


@dataclass(frozen=True)
class FusionConfig:
    """Sizes of a fusion module. Those before `dim` follow from the data."""

    spatial_dim: int
    """Width of the spatial encoder's tokens."""
    semantic_dim: int
    """Width of the VLM's tokens."""
    latent_channels: int
    """Channels of a VAE latent cell."""
    caption_channels: int
    """Width of the decoder's caption embeddings."""
    latent_frames: int = 5
    """Latent frames of a clip, and frames of its spatial tokens; used when that stream is absent."""
    latent_grid: tuple[int, int] = (8, 8)
    """Rows and columns of a latent frame: one query a cell."""
    spatial_grid: tuple[int, int] = (16, 16)
    """Rows and columns of spatial tokens a frame, used when that stream is absent."""
    semantic_grid: tuple[int, int] = (8, 8)
    """Rows and columns of VLM tokens a temporal group, used when that stream is absent."""
    semantic_frames: int = 5
    """Temporal groups of the VLM, used when that stream is absent: arms have equal tokens."""
    dim: int = 640
    heads: int = 8
    layers: int = 4
    mlp_ratio: int = 4
    semantic_queries: int = 8
    """Queries that become caption tokens; 0 leaves out their head (the proposal's module has none)."""
    semantic_rank: int = 256
    """Width inside the caption head: a full-width head would put the module over §2.2's 25M parameters."""
    stream_dropout: float = 0.1
    """Chance in training that a clip loses one of two present streams, so that either may be absent later (§2.1)."""

    def __post_init__(self) -> None:
        if self.dim % 16 or self.dim % self.heads:
            raise FusionError(f"fusion: dim={self.dim} must be a multiple of 16 and of heads={self.heads}")
        if not 0 <= self.stream_dropout < 1:
            raise FusionError(f"fusion: stream_dropout={self.stream_dropout} must be at least 0 and below 1")
        if min(self.layers, self.mlp_ratio, self.latent_frames, self.semantic_rank, *self.latent_grid) < 1:
            raise FusionError(
                "fusion: layers, mlp_ratio, latent_frames, semantic_rank and latent_grid must be at least 1"
            )


def proposed(**choices) -> FusionConfig:
    """The default at real sizes: Qwen2.5-VL 7B, DINOv2-giant, LTX-Video 2B; within §2.2's 15-25M parameters."""
    return replace(_REAL, **choices)


def as_written() -> FusionConfig:
    """§1.3 as its code has it, dim 1024 and no caption tokens: 56.9M parameters, over the budget of 50M."""
    return replace(_REAL, dim=1024, semantic_queries=0)


_REAL = FusionConfig(spatial_dim=1536, semantic_dim=3584, latent_channels=128, caption_channels=4096)
NAMED = {"proposed": proposed, "as_written": as_written}
