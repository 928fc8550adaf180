"""The default fusion: learned queries on the latent's own grid read both frozen streams (§1.3, design §4.1-4.4).

One query for each cell of each latent frame, with its place and time; its output is that cell of the latent. A few more
queries without a place gather what happens, for the decoder's caption cross-attention.
"""

import torch
from torch import Tensor, nn

from models.encoders.base import Tokens, grid_positions
from models.fusion.blocks import CrossAttentionBlock
from models.fusion.conditioning import Conditioning
from models.fusion.config import FusionConfig, FusionError
from models.fusion.position import frame_times, place_code

LEAST_VARIANCE = 1e-3
"""Of a component after the norm, whose mean variance is 1: what varies less is not blown up to unit variance."""


class QFormerFusion(nn.Module):
    """Spatial and semantic tokens -> conditioning. A learned null takes the tokens' place of an absent stream."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        dim, cells = config.dim, config.latent_grid[0] * config.latent_grid[1]
        self.spatial = Stream(config.spatial_dim, dim, config.spatial_grid)
        self.semantic = Stream(config.semantic_dim, dim, config.semantic_grid)
        self.place_norm = nn.LayerNorm(dim)
        self.content_in_key = nn.Parameter(torch.tensor(0.1))
        self.queries = nn.Parameter(torch.randn(cells, dim) * 0.02)
        self.blocks = nn.ModuleList(
            CrossAttentionBlock(dim, config.heads, config.mlp_ratio, first=layer == 0) for layer in range(config.layers)
        )
        # No norm before it: how bright and how detailed a cell is lies in the length of what was read.
        self.latent_head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, config.latent_channels))
        if config.semantic_queries:
            self.semantic_queries = nn.Parameter(torch.randn(config.semantic_queries, dim) * 0.02)
            self.semantic_head = nn.Sequential(
                nn.LayerNorm(dim),
                nn.Linear(dim, config.semantic_rank),
                nn.GELU(),
                nn.Linear(config.semantic_rank, config.caption_channels),
            )

    def forward(
        self, spatial: Tokens | None, semantic: Tokens | None, *, return_attention: bool = False
    ) -> Conditioning:
        """Fuse a batch. At least one stream must be there; latent frames are those of the spatial stream."""
        present = spatial if spatial is not None else semantic
        if present is None:
            raise FusionError("fusion: both streams are absent; give the spatial or the semantic tokens")
        batch = present.tokens.shape[0]
        frames = self.config.latent_frames if spatial is None else spatial.tokens.shape[1]
        keep_spatial, keep_semantic = self._stream_dropout(batch, spatial, semantic)
        streams = (
            self.spatial(spatial, keep_spatial, (batch, frames)),
            self.semantic(semantic, keep_semantic, (batch, self.config.semantic_frames)),
        )
        content, places, mask = (torch.cat(parts, dim=1) for parts in zip(*streams, strict=True))
        lengths = tuple(stream[0].shape[1] for stream in streams)
        places = self.place_norm(places + self.content_in_key * content)
        queries = self._queries(batch, frames, content.device)
        kept: list[Tensor] = []
        for block in self.blocks:
            queries, weights = block(queries, places, content, lengths, mask, return_attention)
            kept += [] if weights is None else [weights]
        hidden = queries[:, : frames * len(self.queries)].unflatten(1, (frames, -1))
        return Conditioning(
            latent_tokens=self.latent_head(hidden),
            semantic_tokens=self._semantic_tokens(queries[:, frames * len(self.queries) :]),
            hidden=hidden,
            grid=self.config.latent_grid,
            attention=tuple(kept),
            spatial_tokens=lengths[0],
        )

    def _queries(self, batch: int, frames: int, device: torch.device) -> Tensor:
        """[B, T'*h*w + S, dim]."""
        places = grid_positions(*self.config.latent_grid).to(device).expand(frames, -1, -1)
        queries = (self.queries + place_code(places, frame_times(frames, device), self.config.dim)).flatten(0, 1)
        if self.config.semantic_queries:
            queries = torch.cat([queries, self.semantic_queries])
        return queries.expand(batch, -1, -1)

    def _semantic_tokens(self, queries: Tensor) -> Tensor:
        if not self.config.semantic_queries:
            return queries.new_zeros(len(queries), 0, self.config.caption_channels)
        return self.semantic_head(queries)

    def _stream_dropout(
        self, batch: int, spatial: Tokens | None, semantic: Tokens | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Per stream, which clips keep it: in training one of two present streams is lost at the configured chance."""
        if not self.training or not self.config.stream_dropout:
            return None, None
        # Drawn for every arm alike, so that arms see the same random numbers.
        lost, which = torch.rand(2, batch).to(self.queries.device)
        if spatial is None or semantic is None:
            return None, None
        lost = lost < self.config.stream_dropout
        return ~(lost & (which < 0.5)), ~(lost & (which >= 0.5))


class Stream(nn.Module):
    """One stream's way into the common width: norm, projection, stream embedding, and its place; or its learned null.

    A null stands nowhere, so that no query finds it at its own place.
    """

    def __init__(self, width: int, dim: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.dim, self.grid = dim, grid
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, dim)
        self.embedding = nn.Parameter(torch.randn(dim) * 0.02)
        self.null = nn.Parameter(torch.randn(dim) * 0.02)

    @torch.no_grad()
    def whiten(self, tokens: Tensor) -> None:
        """Start the projection at the principal components of tokens [..., width], each scaled to unit variance.

        An encoder's tokens vary far more in a few directions (the ground's colour) than in those that hold detail;
        gradient descent would find the latter last. Components beyond `width` stay zero.
        """
        rows = self.norm(tokens.flatten(0, -2))
        spread = rows - rows.mean(0)
        directions, variances, _ = torch.linalg.svd(spread.T @ spread / len(rows))
        kept = min(self.dim, len(variances))
        scaled = (directions / (variances + LEAST_VARIANCE).sqrt()).T[:kept]
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        self.projection.weight[:kept] = scaled
        self.projection.bias[:kept] = -scaled @ rows.mean(0)

    def forward(
        self, tokens: Tokens | None, keep: Tensor | None, absent: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Content and place, each [B, T*N, dim], and their mask [B, T*N]; clips where `keep` [B] is False get the null.

        `absent` is the (B, T) of the null where there are no tokens.
        """
        if tokens is None:
            (batch, frames), (rows, columns) = absent, self.grid
            content = (self.null + self.embedding).expand(batch, frames * rows * columns, -1)
            return content, torch.zeros_like(content), torch.ones_like(content[..., 0], dtype=torch.bool)
        if tokens.tokens.shape[-1] != self.norm.normalized_shape[0]:
            raise FusionError(
                f"fusion: tokens are {tokens.tokens.shape[-1]} wide, not {self.norm.normalized_shape[0]}; "
                "are they another encoder's?"
            )
        content, mask = self.projection(self.norm(tokens.tokens)), tokens.mask
        code = place_code(tokens.positions, frame_times(tokens.tokens.shape[1], content.device), self.dim)
        if keep is not None:
            kept = keep[:, None, None, None]
            content, mask = torch.where(kept, content, self.null.to(content.dtype)), mask | ~kept[..., 0]
            code = code * kept
        return (content + self.embedding).flatten(1, 2), code.flatten(1, 2), mask.flatten(1)
