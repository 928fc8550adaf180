"""The interface of every fusion, and what the kinds share: streams, queries, heads, stream dropout (design §4.1-4.4).

There is one query for each cell of each latent frame, with its place and time; its output is that cell of the latent.
A few more queries without a place gather what happens, for the decoder's caption cross-attention. How the queries get
to know the streams is what a kind is.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from models.data.part import Part
from models.encoders.base import Tokens, grid_positions
from models.fusion.blocks import CrossAttentionBlock
from models.fusion.conditioning import Conditioning
from models.fusion.config import FusionConfig, FusionError
from models.fusion.context import Context, context_of
from models.fusion.heads import LatentHead, semantic_head
from models.fusion.position import frame_times, place_code
from models.fusion.resample import at_cells
from models.fusion.stream import Stream


class Fusion(nn.Module, ABC):
    """Spatial and semantic tokens -> conditioning. A learned null takes the tokens' place of an absent stream."""

    def __init__(self, config: FusionConfig, mlp_width: int | None = None) -> None:
        """Without `mlp_width` the MLPs are `mlp_ratio * dim` wide; see `build` for the width of equal parameters."""
        super().__init__()
        self.config = config
        dim, cells = config.dim, config.latent_grid[0] * config.latent_grid[1]
        self.spatial = Stream(config.spatial_dim, dim, config.spatial_grid)
        self.semantic = Stream(config.semantic_dim, dim, config.semantic_grid)
        if config.attends:
            self.place_norm = nn.LayerNorm(dim)
            self.content_in_key = nn.Parameter(torch.tensor(0.1))
        if config.query_mode != "spatial":
            self.queries = nn.Parameter(torch.randn(cells, dim) * 0.02)
        self.blocks = self.layers(config.mlp_ratio * dim if mlp_width is None else mlp_width)
        self.latent_head = LatentHead(config)
        if config.semantic_queries:
            self.semantic_queries = nn.Parameter(torch.randn(config.semantic_queries, dim) * 0.02)
            self.semantic_head = semantic_head(config)

    @abstractmethod
    def layers(self, mlp_width: int) -> nn.ModuleList:
        """The kind's layers, with MLPs of this width."""

    @abstractmethod
    def fuse(self, queries: Tensor, context: Context, frames: int, attention: bool) -> tuple[Tensor, list[Tensor]]:
        """Queries [B, Q, dim] -> the same after the last layer, and the attention [B, Q, K] of each layer if asked for.

        Q is the cells of every frame in raster order, then the semantic queries. A kind without attention gives [].
        """

    def places(self, context: Context) -> Tensor:
        """[B, K, dim], what the queries of a kind that attends look for: where a token stands, and a little what it is.

        A norm over place and content in equal parts would let the content blur the place (ADR 7).
        """
        return self.place_norm(context.codes + self.content_in_key * context.content)

    def later_projections(self) -> list[nn.Linear]:
        """What projects the readings after the first, in their order; none in a kind that reads once."""
        return [block.out for block in self.blocks[1:] if isinstance(block, CrossAttentionBlock)]

    def looks(self, frames: int, ahead: Tensor) -> Tensor:
        """[Q, dim], where each query looks: at its own cell, `ahead` frames on; semantic queries look nowhere."""
        codes = self._codes(frames, ahead / max(frames - 1, 1))
        codes = codes.mean(0) if self.config.global_queries else codes.flatten(0, 1)
        return nn.functional.pad(codes, (0, 0, 0, self.config.semantic_queries))

    def gates(self) -> Tensor:
        """[layers, 2] in 0..1: how far the spatial and the semantic stream are let in, to be logged.

        Kinds without attention let a stream in once: one row.
        """
        gates = [value.detach() for name, value in self.named_parameters() if name.split(".")[-1] == "gate"]
        return torch.cat(gates).sigmoid().view(-1, 2)

    @property
    def device(self) -> torch.device:
        return self.spatial.null.device

    def forward(
        self,
        spatial: Tokens | None,
        semantic: Tokens | None,
        *,
        return_attention: bool = False,
        part: Part | None = None,
    ) -> Conditioning:
        """Fuse a batch. At least one stream must be there; latent frames are those of the spatial stream.

        In training, chance is drawn for the whole batch of which the clips are a `part`.

        Raises:
            FusionError: both streams are absent, or their clips or sizes do not fit.
        """
        batch, frames = self._sizes(spatial, semantic)
        keep_spatial, keep_semantic = self._stream_dropout(batch, spatial, semantic, part)
        where = self.spatial(spatial, keep_spatial, (batch, frames))
        what = self.semantic(semantic, keep_semantic, (batch, self.config.semantic_frames))
        context = context_of(where, what)
        queries, attention = self.fuse(self._queries(context, frames), context, frames, return_attention)
        hidden = self.of_cells(queries, frames)
        return Conditioning(
            latent_tokens=self.latent_head(hidden),
            semantic_tokens=self._semantic_tokens(queries),
            hidden=hidden,
            grid=self.config.latent_grid,
            attention=tuple(
                torch.cat([self.of_cells(layer, frames).flatten(1, 2), self._of_semantic(layer)], dim=1)
                for layer in attention
            ),
            spatial_tokens=context.lengths[0],
        )

    def _sizes(self, spatial: Tokens | None, semantic: Tokens | None) -> tuple[int, int]:
        """Clips and latent frames."""
        present = spatial if spatial is not None else semantic
        if present is None:
            raise FusionError("fusion: both streams are absent; give the spatial or the semantic tokens")
        if spatial is not None and semantic is not None and len(spatial.tokens) != len(semantic.tokens):
            raise FusionError(
                f"fusion: {len(spatial.tokens)} clips of spatial and {len(semantic.tokens)} of semantic tokens; "
                "give both streams of the same clips"
            )
        return present.tokens.shape[0], self.config.latent_frames if spatial is None else spatial.tokens.shape[1]

    def _codes(self, frames: int, later: Tensor | float) -> Tensor:
        """[T', h*w, dim]: the place of every cell, and its moment, moved on by `later` lengths of the clip."""
        places = grid_positions(*self.config.latent_grid).to(self.device).expand(frames, -1, -1)
        return place_code(places, frame_times(frames, self.device) + later, self.config.dim)

    def _queries(self, context: Context, frames: int) -> Tensor:
        """[B, T'*h*w + S, dim]; of a global query [B, h*w + S, dim], the mean of its frames' codes."""
        queries = self._codes(frames, 0.0)
        if self.config.query_mode != "spatial":
            queries = self.queries + queries
        if self.config.query_mode != "learned":
            queries = queries + at_cells(context.spatial, self.config.latent_grid)
        if self.config.global_queries:
            queries = queries.mean(-3, keepdim=True)
        queries = queries.flatten(-3, -2)
        if self.config.semantic_queries:
            what = self.semantic_queries.expand(*queries.shape[:-2], -1, -1)
            queries = torch.cat([queries, what], dim=-2)
        return queries.expand(len(context.content), -1, -1)

    def of_cells(self, rows: Tensor, frames: int) -> Tensor:
        """Of rows [B, Q, ..], one a query, those of the cells [B, T', h*w, ..]; global queries hold for every frame."""
        rows = rows[:, : rows.shape[1] - self.config.semantic_queries]
        if self.config.global_queries:
            return rows[:, None].expand(-1, frames, -1, -1)
        return rows.unflatten(1, (frames, -1))

    def _of_semantic(self, rows: Tensor) -> Tensor:
        return rows[:, rows.shape[1] - self.config.semantic_queries :]

    def _semantic_tokens(self, queries: Tensor) -> Tensor:
        if not self.config.semantic_queries:
            return queries.new_zeros(len(queries), 0, self.config.caption_channels)
        return self.semantic_head(self._of_semantic(queries))

    def _stream_dropout(
        self, batch: int, spatial: Tokens | None, semantic: Tokens | None, part: Part | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Per stream, which clips keep it: in training one of two present streams is lost at the configured chance."""
        if not self.training or not self.config.stream_dropout:
            return None, None
        # Drawn for every arm alike, so that arms see the same random numbers.
        drawn = torch.rand(2, batch if part is None else part.clips)
        lost, which = (drawn if part is None else part.own(drawn.T).T).to(self.device)
        if spatial is None or semantic is None:
            return None, None
        lost = lost < self.config.stream_dropout
        return ~(lost & (which < 0.5)), ~(lost & (which >= 0.5))
