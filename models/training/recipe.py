"""What the three recipes share: a fusion to train on an arm's tokens, its checkpoint names, where it starts from."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from models.data.part import Part
from models.fusion.base import Fusion
from models.fusion.build import build
from models.fusion.conditioning import Conditioning, cells_of
from models.fusion.config import FusionConfig, FusionError
from models.training import checkpoint
from models.training.data import Batch, TrainingData, read_batch, sources
from models.training.losses import latent_mse
from models.training.randomness import isolated
from models.training.start import start_from

FUSION = "fusion."
"""Prefix of the fusion's weights in a checkpoint."""


class FusionTask:
    """The part of a `Task` that all phases share."""

    def __init__(
        self, name: str, fusion: Fusion, data: TrainingData, arm: str, *, start: Path | None, every: int, clips: int
    ) -> None:
        self.name, self.fusion, self.data, self.arm, self.start = name, fusion.train(), data, arm, start
        self.every, self.held_out_ids = every, list(data.held_out)[:clips]
        self.device = fusion.device

    def parameters(self) -> Mapping[str, Parameter]:
        return {FUSION + name: parameter for name, parameter in self.fusion.named_parameters()}

    def begin(self) -> None:
        """Start at a checkpoint's weights, or on the first clips to train on (`start_from`)."""
        if self.start is None:
            start_from(self.fusion, self.data, self.arm)
        else:
            _take(self.fusion, checkpoint.read(self.start))

    def rates(self) -> Mapping[str, float]:
        return {}

    def load(self, ids: Sequence[str], step: int, part: Part | None = None) -> Batch:
        return read_batch(self.data, ids, arm=self.arm, part=part)

    def conditioning(self, batch: Batch) -> Conditioning:
        return self.fusion(batch.spatial, batch.semantic, part=batch.part)

    def watch(self, step: int) -> dict[str, float]:
        """Held-out numbers and the gates every `every` steps, the fusion in evaluation mode."""
        if not self.held_out_ids or step % self.every:
            return {}
        self.fusion.eval()
        with torch.no_grad():
            numbers = self.measure(self.load(self.held_out_ids, -1).to(self.device))
        self.fusion.train()
        return numbers | gate_numbers(self.fusion)

    def measure(self, batch: Batch) -> dict[str, float]:
        """Squared error of normalised latents: 1 is the mean's, 0 the VAE round-trip's."""
        predicted = self.conditioning(batch).latent_tokens
        return {"heldout_latent": latent_mse(predicted, cells_of(batch.latents)).item()}


def gate_numbers(fusion: Fusion) -> dict[str, float]:
    """How far each layer lets either stream in, 0..1, as `gate/STREAM/LAYER`."""
    streams = zip(("spatial", "semantic"), fusion.gates().T.tolist(), strict=True)
    return {f"gate/{stream}/{layer}": value for stream, layers in streams for layer, value in enumerate(layers)}


def require_fit(config: FusionConfig, data: TrainingData, arm: str) -> None:
    """Refuse a fusion whose sizes are not the data's: arms would differ in tokens, or training fail later.

    Raises:
        FusionError: says which size differs.
    """
    ids = list(data.ids[:1])
    latents = data.latents(ids).shape[1:]
    wanted: dict[str, object] = {"latent_channels": latents[0], "latent_grid": tuple(latents[2:])}
    if config.latent_frames != latents[1]:
        raise FusionError(
            f"fusion: latent_frames={config.latent_frames} but the data has latents of {latents[1]} frames"
        )
    if data.captions is not None and config.semantic_queries:
        wanted["semantic_queries"], wanted["caption_channels"] = data.captions(ids).shape[1:]
    for stream, source in zip(("spatial", "semantic"), sources(data, arm), strict=True):
        if source is not None:
            frames, tokens, width = source.read(ids).shape[1:]
            grid = getattr(config, f"{stream}_grid")
            wanted |= {f"{stream}_dim": width, "latent_frames" if stream == "spatial" else "semantic_frames": frames}
            if grid[0] * grid[1] != tokens:
                raise FusionError(f"fusion: {stream}_grid={grid} but the data has {tokens} tokens a frame")
    for name, value in wanted.items():
        if getattr(config, name) != value:
            raise FusionError(f"fusion: {name}={getattr(config, name)} but the data has {value}")


def new_fusion(config: FusionConfig, data: TrainingData, arm: str, seed: int, device: str) -> Fusion:
    """A fusion of the seed's weights.

    Raises:
        FusionError: its sizes are not those of what the arm reads.
    """
    require_fit(config, data, arm)
    with isolated(seed, torch.device(device)):
        return build(config).to(device)


def load_fusion(path: Path) -> Fusion:
    """The fusion of a checkpoint of any phase, averaged weights where kept, in evaluation mode.

    Raises:
        CheckpointError: it is damaged, or of another version.
    """
    found = checkpoint.read(path)
    fusion = build(found.setting("fusion", FusionConfig))
    _take(fusion, found)
    return fusion.eval()


def weights_below(found: checkpoint.Checkpoint, prefix: str) -> dict[str, Tensor]:
    """The checkpoint's weights under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in found.weights().items() if k.startswith(prefix)}


def identity_of(config: Any, data: TrainingData, start: Path | None = None) -> dict[str, Any]:
    """What a run is: its configuration, its data and the weights it starts from."""
    begin = "" if start is None else checkpoint.read(start).state["files"]["model.safetensors"]
    said = dataclasses.asdict(config)
    del said["loop"]["readers"]  # changes no number: a run may go on with more
    return {"config": said, "data": data.identity(), "start": begin}


def _take(fusion: Fusion, found: checkpoint.Checkpoint) -> None:
    theirs, config = found.setting("fusion", FusionConfig), fusion.config
    differing = [
        f"{field.name}: {getattr(theirs, field.name)} there, {getattr(config, field.name)} here"
        for field in dataclasses.fields(FusionConfig)
        if field.name != "stream_dropout" and getattr(theirs, field.name) != getattr(config, field.name)
    ]
    if differing:
        raise checkpoint.CheckpointError(f"{found.path} holds another fusion ({'; '.join(differing)})")
    found.fill(dict(fusion.named_parameters()), weights_below(found, FUSION))
