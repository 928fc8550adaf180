"""What a fusion module is built from, and the named configurations (design §4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

Kind = Literal["qformer", "concat", "film", "perceiver"]
QueryMode = Literal["learned", "spatial", "hybrid"]


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
    """Of the qformer. The other kinds' MLPs are as wide as gives them the qformer's parameters; see `build`."""
    semantic_queries: int = 8
    """Queries that become caption tokens; 0 leaves out their head (the proposal's module has none)."""
    semantic_rank: int = 256
    """Width inside the caption head: a full-width head would put the module over §2.2's 25M parameters."""
    stream_dropout: float = 0.1
    """Chance in training that a clip loses one of two present streams, so that either may be absent later (§2.1)."""
    kind: Kind = "qformer"
    """How the queries get to know the streams (§C.1-C.4)."""
    query_mode: QueryMode = "learned"
    """What a cell's query is, beside its place and time: learned, the spatial content of its cell (as much of it as in
    a key), or their sum."""
    global_queries: bool = False
    """One query a cell for the whole clip, as §1.3's 64, and not one a cell and latent frame."""

    def __post_init__(self) -> None:
        at_least_one = ("spatial_dim", "semantic_dim", "latent_channels", "caption_channels", "latent_frames")
        at_least_one += ("latent_grid", "spatial_grid", "semantic_grid", "semantic_frames")
        at_least_one += ("dim", "heads", "layers", "mlp_ratio", "semantic_rank")
        for name, least in [*((name, 1) for name in at_least_one), ("semantic_queries", 0)]:
            value = getattr(self, name)
            if min(value if isinstance(value, tuple) else (value,)) < least:
                raise FusionError(f"fusion: {name}={value} must be at least {least}")
        for name, known in (("kind", get_args(Kind)), ("query_mode", get_args(QueryMode))):
            if getattr(self, name) not in known:
                raise FusionError(f"fusion: {name}={getattr(self, name)!r} is unknown; one of {', '.join(known)}")
        if self.dim % 16 or self.dim % self.heads:
            raise FusionError(f"fusion: dim={self.dim} must be a multiple of 16 and of heads={self.heads}")
        if self.dim <= self.latent_channels:
            raise FusionError(f"fusion: dim={self.dim} must be above latent_channels={self.latent_channels}")
        if not 0 <= self.stream_dropout < 1:
            raise FusionError(f"fusion: stream_dropout={self.stream_dropout} must be at least 0 and below 1")
        if not self.attends and (self.query_mode != "learned" or self.global_queries):
            raise FusionError(
                f"fusion: {self.kind} asks nothing, so it has no query modes; set query_mode=learned and "
                "global_queries=false, or kind=qformer or perceiver"
            )

    @property
    def attends(self) -> bool:
        """Whether the kind's queries look for tokens by their place: such kinds have attention and query modes."""
        return self.kind in ("qformer", "perceiver")


def sizes_of(name: str) -> Mapping[str, int]:
    """What a named configuration sets; its other sizes are the defaults.

    Raises:
        FusionError: no configuration has this name.
    """
    if name not in NAMED:
        raise FusionError(f"fusion: no configuration {name!r}; there are {', '.join(NAMED)}")
    return NAMED[name]


def proposed(**choices) -> FusionConfig:
    """The default at real sizes: Qwen2.5-VL 7B, DINOv2-giant, LTX-Video 2B; within §2.2's 15-25M parameters."""
    return replace(_REAL, **choices)


def as_written(**choices) -> FusionConfig:
    """§1.3 as its code has it, dim 1024 and no caption tokens: 56.9M parameters, over the budget of 50M."""
    return replace(_REAL, **{**NAMED["as_written"], **choices})


_REAL = FusionConfig(spatial_dim=1536, semantic_dim=3584, latent_channels=128, caption_channels=4096)
NAMED: Mapping[str, Mapping[str, int]] = {
    "proposed": {"dim": 640, "heads": 8, "layers": 4},
    "as_written": {"dim": 1024, "heads": 8, "layers": 4, "semantic_queries": 0},
}
