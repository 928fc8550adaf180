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

    whole: Changes
    """[B, ...]"""
    layers: Changes | None
    """[layers, B, ...] with the stream taken away in one layer only; none of a kind without attention."""
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


def changes(
    whole: tuple[np.ndarray, np.ndarray], without: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> Changes:
    """Of conditionings that were made already: each (cells [.., T', h*w, C], captions [.., S, D]), `without` the
    spatial and the semantic stream.
    """
    cells, captions = (np.stack([moved(whole[part], one[part]) for one in without], -1) for part in range(2))
    return Changes(cells, captions)


@torch.no_grad()
def attribute(fusion: Fusion, spatial: Tokens, semantic: Tokens) -> Attribution:
    """Take the streams away from a trained fusion, whole and layer by layer: 3 + 2 * layers passes.

    Raises:
        FusionError: the tokens are not as many as the fusion's nulls, so taking a stream away would change more.
    """
    _require_equal(fusion.config, spatial, semantic)
    was_training = fusion.training
    fusion.eval()
    whole = fusion(spatial, semantic, return_attention=fusion.config.attends)
    here, absent, by_layer = _arrays(whole), [], []
    layers = _layers(fusion)
    for left in ((None, semantic), (spatial, None)):
        with _recorded(layers) as inputs:
            absent.append(_arrays(fusion(*left)))
        patched = []
        for layer in layers:
            with _patched(layer, inputs):
                patched.append(_arrays(fusion(spatial, semantic)))
        by_layer.append(patched)
    fusion.train(was_training)
    of_layers = [changes(here, (by_layer[0][number], by_layer[1][number])) for number in range(len(layers))]
    return Attribution(
        whole=changes(here, (absent[0], absent[1])),
        layers=Changes(np.stack([x.cells for x in of_layers]), np.stack([x.captions for x in of_layers]))
        if of_layers
        else None,
        attention=np.stack([_array(layer) for layer in whole.attention]) if whole.attention else None,
        attention_share=_array(whole.semantic_share()) if whole.attention else None,
    )


def _layers(fusion: Fusion) -> list[list[nn.Module]]:
    """What reads the streams' keys and values, layer by layer; a kind without attention reads them once, elsewhere."""
    if not fusion.config.attends:
        return []
    blocks, size = list(fusion.blocks), len(fusion.blocks) // fusion.config.layers
    readers = [[block.get_submodule(name) for name in ("key", "value")] for block in blocks]
    return [sum(readers[start : start + size], []) for start in range(0, len(blocks), size)]


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


def _require_equal(config: FusionConfig, spatial: Tokens, semantic: Tokens) -> None:
    wanted = {
        "spatial": (spatial, config.latent_frames, config.spatial_grid),
        "semantic": (semantic, config.semantic_frames, config.semantic_grid),
    }
    for stream, (tokens, frames, grid) in wanted.items():
        if tuple(tokens.tokens.shape[1:3]) != (frames, grid[0] * grid[1]):
            raise FusionError(
                f"attribution: {stream} tokens of {tuple(tokens.tokens.shape[1:3])} steps and tokens a step, but the "
                f"fusion's null has {(frames, grid[0] * grid[1])}; give a clip of the length and size it was trained on"
            )


def _arrays(made: Conditioning) -> tuple[np.ndarray, np.ndarray]:
    return _array(made.latent_tokens), _array(made.semantic_tokens)


def _array(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
