"""A predictor of the toy world of tests/models/training: 1 frame of 8x8 known, 2 foretold."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from models.encoders.base import Encoder, PatchEncoder, Tokens, on_grid
from models.training import prediction
from models.training.data import TokenSource, TrainingData
from models.training.horizon import Horizon
from models.training.loop import TrainResult
from tests.models.decoder import small
from tests.models.training import runs, toy

HORIZON = Horizon(frames=3, context=1, step=2)


def context_data() -> TrainingData:
    """The toy data with the tokens of the first latent frame alone."""

    def first(source: TokenSource | None) -> TokenSource:
        assert source is not None
        return replace(source, read=lambda ids: source.read(ids)[:, :1], positions=source.positions[:1])

    data = toy.data()
    return replace(data, spatial=first(data.spatial), semantic=first(data.semantic))


def config(**choices) -> prediction.PredictionConfig:
    fields = {"loop": toy.loop(), "lora_rank": 2, "heldout_every": 3, "horizon": HORIZON, **choices}
    return prediction.PredictionConfig(toy.FUSION, **fields)


def phase3(folder: Path) -> TrainResult:
    """What a predictor starts from."""
    before = runs.train("phase2", folder / "phase2", toy.loop())
    return runs.train("phase3", folder / "phase3", toy.loop(), start=before.checkpoint)


def train(folder: Path, start: Path, **choices) -> TrainResult:
    generator = choices.pop("generator", None) or small.toy_generator()
    return prediction.run(config(**choices), context_data(), folder, generator=generator, start=start)


class Where(PatchEncoder):
    """4x4 patches of 2 pixels, 12 wide: the pixels themselves."""

    name = "where"

    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 1), dim=12, patch=2, stride=2, weights_sha256="", standin=True)

    def patch_tokens(self, frames: Tensor) -> Tensor:
        patches = frames.unflatten(1, (4, 2)).unflatten(3, (4, 2)).permute(0, 1, 3, 2, 4, 5)
        return patches.flatten(3).flatten(1, 2).float() / 128 - 1


class What(Encoder):
    """2x2 cells of pairs of frames, 10 wide; the last frame stands twice where it has no partner."""

    name = "what"

    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 1), weights_sha256="", standin=True)
        self.freeze()

    def encode(self, frames: Tensor) -> Tokens:
        cells = frames[:, ::2].unflatten(2, (2, 4)).unflatten(4, (2, 4)).float().mean((3, 5))
        tokens = cells.flatten(2, 3).mean(-1, keepdim=True).expand(-1, -1, -1, 10) / 128 - 1
        return on_grid(tokens.contiguous(), 2, 2)


class Broken(What):
    """Its tokens overflow."""

    def encode(self, frames: Tensor) -> Tokens:
        made = super().encode(frames)
        return replace(made, tokens=made.tokens * torch.inf)
