"""Graceful degradation (§2.1), measured: what stream dropout in training is worth when a stream is absent later.

The answer, four numbers a clip, is planted in both streams under noise, so either could do alone. Errors are mean
squares; the answer's variance is 1, which is what knowing nothing costs.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.encoders.base import Tokens, on_grid
from models.fusion.base import Fusion
from models.fusion.build import build
from models.fusion.config import FusionConfig

TINY = FusionConfig(
    spatial_dim=8,
    semantic_dim=8,
    latent_channels=4,
    caption_channels=4,
    latent_frames=1,
    latent_grid=(2, 2),
    spatial_grid=(2, 2),
    semantic_grid=(2, 2),
    semantic_frames=1,
    dim=32,
    heads=2,
    layers=1,
    semantic_queries=0,
)


class Planted:
    """Clips whose answer lies in every token of both streams, each stream with a code of its own."""

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.codes = torch.randn(2, 4, 8, generator=self.random) / 2

    def draw(self, clips: int) -> tuple[Tensor, Tokens, Tokens]:
        """The answers [B, 4] and the two streams."""
        answers = torch.randn(clips, 4, generator=self.random)
        noise = torch.randn(2, clips, 1, 4, 8, generator=self.random) / 2
        spatial, semantic = (on_grid(noise[i] + (answers @ self.codes[i])[:, None, None], 2, 2) for i in range(2))
        return answers, spatial, semantic


def error(fusion: Fusion, answers: Tensor, spatial: Tokens | None, semantic: Tokens | None) -> Tensor:
    return (fusion(spatial, semantic).latent_tokens - answers[:, None, None]).square().mean()


def trained(kind: str, stream_dropout: float, seed: int) -> dict[str, float]:
    """Held-out errors of a fusion trained on both streams: with both, and with either absent."""
    clips = Planted(seed)
    torch.manual_seed(seed)
    fusion = build(replace(TINY, kind=kind, stream_dropout=stream_dropout)).train()
    optimizer = torch.optim.AdamW(fusion.parameters(), 3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        error(fusion, *clips.draw(64)).backward()
        optimizer.step()
    answers, spatial, semantic = clips.draw(512)
    fusion.eval()
    with torch.no_grad():
        return {
            "both": error(fusion, answers, spatial, semantic).item(),
            "no semantic": error(fusion, answers, spatial, None).item(),
            "no spatial": error(fusion, answers, None, semantic).item(),
        }


@pytest.mark.parametrize("kind", ["qformer", "concat", "film", "perceiver"])
def test_stream_dropout_buys_an_answer_without_a_stream(kind):
    without, with_ = trained(kind, 0.0, seed=0), trained(kind, 0.3, seed=0)
    print({kind: {"without dropout": without, "with": with_}})
    assert with_["both"] < without["both"] + 0.06  # the price
    for absent in ("no semantic", "no spatial"):
        assert with_[absent] < 0.5
        assert with_[absent] < 0.85 * without[absent]
