"""Which stream an output listened to (§2.1): how far it moves when a stream is replaced by its learned null.

Protocol: ablation. Each stream in turn is taken away, as the fusion learned to do without it; an output's change is the
root mean square over its channels, for a latent cell in standard deviations of the latent. The semantic share is the
change without the VLM over the sum of both changes: 0 listened to the spatial encoder alone, 1 to the VLM alone. A
layer's share is the same with the stream taken away in that layer only: its keys and values are patched with those of
the run without it (activation patching; Vig et al. 2020).

Attention alone is weak evidence: values, gates and skips decide what becomes of it (Jain and Wallace 2019; Kobayashi et
al. 2020). Where an answer was planted in one stream, attention and Kobayashi's norms found the stream less clearly, or
not at all where each stream has a softmax of its own; ablation found it in all kinds (ADR 13). What it does not see:
where both streams hold the same answer, taking either away moves little; look at the changes beside the share.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.encoders.base import Tokens
from models.fusion.base import Fusion
from models.fusion.conditioning import Conditioning
from models.fusion.config import FusionConfig, FusionError

STREAMS = ("spatial", "semantic")
PROTOCOL = "change of the output without the VLM / (that + change without the spatial encoder), learned nulls"


@dataclass(frozen=True)
class Changes:
    """How far outputs move without a stream; the last axis is without (spatial, semantic)."""

    cells: np.ndarray
    """[..., T', h*w, 2], in standard deviations of the latent."""
    captions: np.ndarray
    """[..., S, 2], in the units of the caption embeddings."""

    def by_clip(self) -> dict[str, np.ndarray]:
        """The semantic share [...] of a clip's cells and of its caption tokens, changes summed before the ratio."""
        cells, captions = self.cells.sum((-3, -2)), self.captions.sum(-2)
        return {"cells": semantic_share(cells), "captions": semantic_share(captions)}


@dataclass(frozen=True)
class Attribution:
    """Of B clips."""

    whole: Changes | None
    """[B, ...]; none where only one stream is there: nothing is shared."""
    layers: Changes | None
    """[layers, B, ...] with the stream taken away in one layer only; none of one stream, or where nothing attends."""
    attention: np.ndarray | None
    """[layers, B, T'*h*w + S, K], mean of the heads, spatial tokens first; none of a kind without."""
    attention_share: np.ndarray | None
    """[B, T', h*w], the attention that went to the VLM: beside the share, to be compared with it."""


def semantic_share(changes: np.ndarray) -> np.ndarray:
    """Changes [..., 2] to shares [...] in 0..1; NaN where nothing moves without either stream."""
    total = changes.sum(-1)
    return np.divide(changes[..., 1], total, out=np.full(total.shape, np.nan), where=total > 0)


def moved(whole: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Root mean square difference over the last axis."""
    return np.sqrt(np.square(whole - without).mean(-1))


Outputs = tuple[np.ndarray, np.ndarray]
"""Latent cells [B, T', h*w, C] and caption tokens [B, S, D]."""


def changes(whole: Outputs, without: tuple[Outputs, Outputs]) -> Changes:
    """From what was made with both streams to what was made without the spatial and without the semantic one."""
    cells, captions = (np.stack([moved(whole[part], one[part]) for one in without], -1) for part in range(2))
    return Changes(cells, captions)


@torch.no_grad()
def attribute(fusion: Fusion, spatial: Tokens | None, semantic: Tokens | None) -> Attribution:
    """Take the streams away from a trained fusion, whole and layer by layer: 3 + 2 * layers passes; 1 of one stream.

    Raises:
        FusionError: the tokens are not as many as the fusion's nulls, so taking a stream away would change more.
    """
    _require_equal(fusion.config, spatial, semantic)
    was_training = fusion.training
    fusion.eval()
    whole = fusion(spatial, semantic, return_attention=fusion.config.attends)
    cells, layers = None, None
    if spatial is not None and semantic is not None:
        cells, layers = _without_streams(fusion, spatial, semantic, _arrays(whole))
    fusion.train(was_training)
    attention = np.stack([_array(layer) for layer in whole.attention]) if whole.attention else None
    return Attribution(cells, layers, attention, _array(whole.semantic_share()) if whole.attention else None)


def _without_streams(
    fusion: Fusion, spatial: Tokens, semantic: Tokens, here: Outputs
) -> tuple[Changes, Changes | None]:
    layers, absent, patched = _layers(fusion), [], []
    for left in ((None, semantic), (spatial, None)):
        with _recorded(layers) as inputs:
            absent.append(_arrays(fusion(*left)))
        patched.append([])
        for layer in layers:
            with _patched(layer, inputs):
                patched[-1].append(_arrays(fusion(spatial, semantic)))
    by_layer = [changes(here, without) for without in zip(*patched, strict=True)]
    stacked = [np.stack([getattr(layer, part) for layer in by_layer]) for part in ("cells", "captions") if by_layer]
    return changes(here, (absent[0], absent[1])), Changes(*stacked) if by_layer else None


def _layers(fusion: Fusion) -> list[list[nn.Module]]:
    """What reads the streams' keys and values, layer by layer; a kind without attention reads them once, elsewhere."""
    if not fusion.config.attends:
        return []
    blocks, size = list(fusion.blocks), len(fusion.blocks) // fusion.config.layers
    return [
        [block.get_submodule(name) for block in blocks[start : start + size] for name in ("key", "value")]
        for start in range(0, len(blocks), size)
    ]


Inputs = dict[nn.Module, Tensor]


@contextmanager
def _recorded(layers: list[list[nn.Module]]) -> Iterator[Inputs]:
    """What the readers are given in a pass."""
    seen: Inputs = {}

    def note(reader: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen[reader] = given[0]

    hooks = [reader.register_forward_pre_hook(note) for layer in layers for reader in layer]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _patched(layer: list[nn.Module], inputs: Inputs) -> Iterator[None]:
    """The readers of one layer are given what was recorded."""
    hooks = [reader.register_forward_pre_hook(lambda module, _: (inputs[module],)) for reader in layer]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def typical_cells(share: np.ndarray) -> dict[str, tuple[int, int, int]]:
    """Of a clip's shares [T', h, w]: the latent frame, row and column of the most semantic, the most spatial and the
    middle cell.
    """
    known = np.nan_to_num(share, nan=0.5)
    found = {"most semantic": known.argmax(), "most spatial": known.argmin()}
    places = {name: np.unravel_index(flat, share.shape) for name, flat in found.items()}
    places["middle"] = tuple(side // 2 for side in share.shape)
    return {name: (int(place[0]), int(place[1]), int(place[2])) for name, place in places.items()}


def query_maps(attention: np.ndarray, config: FusionConfig) -> tuple[np.ndarray, np.ndarray]:
    """One query's attention [K] as maps over the steps of the spatial and of the semantic tokens, [T, rows, columns].

    Tokens are in raster order, as every encoder gives them.
    """
    count = config.latent_frames * config.spatial_grid[0] * config.spatial_grid[1]
    return attention[:count].reshape(-1, *config.spatial_grid), attention[count:].reshape(-1, *config.semantic_grid)


def _require_equal(config: FusionConfig, spatial: Tokens | None, semantic: Tokens | None) -> None:
    wanted = {
        "spatial": (spatial, config.latent_frames, config.spatial_grid),
        "semantic": (semantic, config.semantic_frames, config.semantic_grid),
    }
    for stream, (tokens, frames, grid) in wanted.items():
        if tokens is not None and tuple(tokens.tokens.shape[1:3]) != (frames, grid[0] * grid[1]):
            raise FusionError(
                f"attribution: {stream} tokens of {tuple(tokens.tokens.shape[1:3])} steps and tokens a step, but the "
                f"fusion's null has {(frames, grid[0] * grid[1])}; give a clip of the length and size it was trained on"
            )


def _arrays(made: Conditioning) -> Outputs:
    return _array(made.latent_tokens), _array(made.semantic_tokens)


def _array(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
