"""How many parameters a fusion has, by arithmetic: no torch, so that a run is refused before anything is started.

Every line stands for one module of this package; tests/models/fusion/test_size.py holds the sums equal to the modules'.
"""

from collections.abc import Mapping
from dataclasses import replace

from models.fusion.config import FusionConfig, FusionError, Kind

STREAMS = 2
_STEP = 8


def parameters(config: FusionConfig) -> int:
    """Trainable parameters of the fusion that `build` makes.

    Raises:
        FusionError: the kind cannot be as small as the qformer.
    """
    return count(config, mlp_width(config))


def mlp_width(config: FusionConfig) -> int:
    """Width of the MLPs at which the kind has the qformer's parameters; the count is linear in it.

    Raises:
        FusionError: with the narrowest it would still have more.
    """
    if config.kind == "qformer":
        return config.mlp_ratio * config.dim
    wanted = count(replace(config, kind="qformer"), config.mlp_ratio * config.dim)
    narrowest = count(config, _STEP)
    step = count(config, 2 * _STEP) - narrowest
    width = _STEP * (1 + round((wanted - narrowest) / step))
    if width < _STEP:
        raise FusionError(
            f"fusion: a {config.kind} of dim={config.dim} and layers={config.layers} has at least {narrowest:,} "
            f"parameters, the qformer of mlp_ratio={config.mlp_ratio} has {wanted:,}; raise mlp_ratio"
        )
    return width


def count(config: FusionConfig, width: int) -> int:
    """Trainable parameters with MLPs of this width."""
    return _streams(config) + _queries(config) + _heads(config) + _layers(config, width)


def _streams(config: FusionConfig) -> int:
    """Norm, projection, stream embedding and null of each stream; of a kind that attends, what makes keys of both."""
    dim, widths = config.dim, (config.spatial_dim, config.semantic_dim)
    keys = _norm(dim) + 1 if config.attends else 0
    return sum(_norm(width) + _linear(width, dim) + 2 * dim for width in widths) + keys


def _queries(config: FusionConfig) -> int:
    cells = config.latent_grid[0] * config.latent_grid[1]
    return config.dim * (config.semantic_queries + (cells if config.query_mode != "spatial" else 0))


def _heads(config: FusionConfig) -> int:
    dim, channels, rank = config.dim, config.latent_channels, config.semantic_rank
    latent = _linear(dim, channels) + _mlp(dim, dim - channels, channels)
    semantic = _norm(dim) + _mlp(dim, rank, config.caption_channels)
    return latent + (semantic if config.semantic_queries else 0)


def _layers(config: FusionConfig, width: int) -> int:
    dim, layers = config.dim, config.layers
    thinks = _norm(dim) + _mlp(dim, width, dim)
    per_kind: Mapping[Kind, int] = {
        "qformer": layers * (_reads(dim, STREAMS) + thinks),
        "perceiver": STREAMS * layers * (_reads(dim, 1) + thinks),
        "concat": layers * thinks + _linear(2 * dim, dim) + STREAMS,
        "film": layers * (thinks + _linear(dim, 2 * dim)) + STREAMS,
    }
    return per_kind[config.kind]


def _reads(dim: int, streams: int) -> int:
    """Cross-attention: norm, four maps, a gate a stream, how far ahead it looks, how much content is in a query."""
    return _norm(dim) + 4 * _linear(dim, dim) + streams + 2


def _mlp(inner: int, width: int, outer: int) -> int:
    return _linear(inner, width) + _linear(width, outer)


def _linear(inner: int, outer: int) -> int:
    return inner * outer + outer


def _norm(dim: int) -> int:
    return 2 * dim
