"""The training loop over a bare forward, backward and optimizer step, on a small real Phase 1 with the stand-ins."""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt
from pathlib import Path
from statistics import mean, median
from typing import Any

from models.bench import workspace
from models.data.features import FeatureStore, extract
from models.decoder.vae import LTXVae
from models.encoders.registry import load_encoder
from models.encoders.stored import latents_of, tokens_of
from models.evaluation.lpips import Lpips
from models.fusion.config import FusionConfig
from models.standins import shelf
from models.training import phase1
from models.training.config import LoopConfig
from models.training.data import Batch, TrainingData, read_batch
from models.training.objective import Reconstruction
from models.training.optimization import optimizer_of
from models.training.recipe import new_fusion
from models.training.sampler import Sampler
from models.training.stores import training_data

GOALS = {"step": 1.05, "data_wait": 0.01, "checkpoint": 0.02}
"""At most: the loop's step over the bare one, and shares of the loop's time."""
CLIPS, ROUNDS = 128, 3
WARM_UP, STEPS = 4, 24
"""Steps of a run before those that count, and those; in whole cycles of one step with pixels and three without; one
more ends with the checkpoint.
"""
ARM = "dino_only"


@dataclass(frozen=True)
class LoopFigure:
    """What the loop costs on this machine."""

    steps: int
    """Of each run that count."""
    loop: float
    """Seconds a step: the mean over the steps, of each the median over the runs."""
    bare: float
    """The same of bare steps, each made right after the loop's of the same number."""
    data_wait: float
    """Share of the loop's time that it waits for batches, in a run without bare steps."""
    checkpoint: float
    """Seconds of one, the median of the runs."""
    checkpoint_every: int
    """Steps."""

    @property
    def ratio(self) -> float:
        """The loop's step over the bare one."""
        return self.loop / self.bare

    @property
    def checkpoint_share(self) -> float:
        """Of the loop's time, at one checkpoint in `checkpoint_every` steps."""
        return self.checkpoint / (self.checkpoint + self.checkpoint_every * self.loop)


def measure(
    loop: LoopConfig, fusion: Mapping[str, Any], *, clips: int = CLIPS, steps: int = STEPS, rounds: int = ROUNDS
) -> LoopFigure:
    """Phase 1 of a profile's loop and fusion sizes, and beside it bare steps of the same modules on the same batches.

    Raises:
        WeightsError: the weights of LPIPS are not fetched.
    """
    vae, perceptual = LTXVae.load(shelf.folder("vae")), Lpips("alex")
    with tempfile.TemporaryDirectory() as folder:
        data = _data(Path(folder), clips, vae)
        config = phase1.Phase1Config(_fusion(data, fusion), replace(loop, steps=WARM_UP + steps + 1))
        run = partial(_run, config, data, vae=vae, perceptual=perceptual)
        runs, bare = list[_Run](), list[list[float]]()
        for number in range(rounds):
            beside = _Bare(config, data, Reconstruction(config.objective, vae, perceptual))
            runs.append(run(Path(folder) / f"run-{number}", beside.step))
            bare.append(beside.seconds[WARM_UP:-1])
        alone = run(Path(folder) / "alone", lambda _: None)  # a bare step would give the reader time
    return LoopFigure(
        steps=steps,
        loop=_typical([run.seconds for run in runs]),
        bare=_typical(bare),
        data_wait=sum(alone.waits) / sum(alone.seconds),
        checkpoint=median(run.checkpoint for run in (*runs, alone)),
        checkpoint_every=loop.checkpoint_every,
    )


def _typical(runs: list[list[float]]) -> float:
    """A mean step: step by step the runs did the same work, and the median over them drops what disturbed one."""
    return mean(median(step) for step in zip(*runs, strict=True))


def _data(folder: Path, clips: int, vae: LTXVae) -> TrainingData:
    shards = workspace.shards(folder, clips)
    dinov2 = load_encoder("dinov2", shelf.folder("dinov2"), stride=workspace.TEMPORAL)
    stores = {}
    for name, encode, network in (("dinov2", tokens_of(dinov2), dinov2), ("latents", latents_of(vae), vae)):
        weights: dict[str, Any] = {"weights_sha256": network.weights_sha256, "standin": network.standin}
        extract(shards, folder / name, encode, name=name, fingerprint="benchmark", batch=workspace.BATCH, **weights)
        stores[name] = FeatureStore(folder / name, shards)
    return training_data(shards, shards.ids("train"), (), latents=stores["latents"], spatial=stores["dinov2"])


def _fusion(data: TrainingData, sizes: Mapping[str, Any]) -> FusionConfig:
    """The fusion of these sizes for the data; Phase 1 has no semantic stream and no captions, so theirs are any."""
    assert data.spatial is not None
    _, channels, frames, rows, columns = data.latents(data.ids[:1]).shape
    _, _, tokens, width = data.spatial.read(data.ids[:1]).shape
    widths = {"spatial_dim": width, "semantic_dim": width, "latent_channels": channels, "caption_channels": width}
    grids = {"latent_grid": (rows, columns), "spatial_grid": (isqrt(tokens), isqrt(tokens))}
    return FusionConfig(**widths, latent_frames=frames, **grids, **sizes)


@dataclass(frozen=True)
class _Run:
    """The steps of a run that count, from the end of one to the end of the next, and the checkpoint after the last."""

    seconds: list[float]
    waits: list[float]
    checkpoint: float


def _run(
    config: phase1.Phase1Config,
    data: TrainingData,
    out: Path,
    after: Callable[[int], None],
    *,
    vae: LTXVae,
    perceptual: Lpips,
) -> _Run:
    """A run of Phase 1 that calls `after` with the number of each step, outside its time."""
    rows, whole, left = list[dict[str, float]](), list[float](), time.perf_counter()

    def note(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
        nonlocal left
        whole.append(time.perf_counter() - left)
        rows.append(numbers)
        after(done - 1)
        left = time.perf_counter()

    phase1.run(config, data, out, note, vae=vae, perceptual=perceptual)
    waits = [row["seconds"] * row["data_wait"] for row in rows[WARM_UP:-1]]
    return _Run(whole[WARM_UP:-1], waits, checkpoint=whole[-1] - rows[-1]["seconds"])


class _Bare:
    """Steps that only go forward, backward and step the optimizer, their batches in memory."""

    def __init__(self, config: phase1.Phase1Config, data: TrainingData, objective: Reconstruction) -> None:
        loop, self.objective = config.loop, objective
        self.fusion = new_fusion(config.fusion, data, ARM, loop.seed, loop.device).train()
        self.optimizer = optimizer_of(dict(self.fusion.named_parameters()), {}, loop)
        sampler, self.batches = Sampler(len(data.ids), loop.seed), list[Batch]()
        for step in range(loop.steps):
            ids = [data.ids[int(i)] for i in sampler.take(step * loop.batch, loop.batch)]
            self.batches.append(read_batch(data, ids, arm=ARM, frames=config.objective.decoded(step)))
        self.seconds: list[float] = []

    def step(self, number: int) -> None:
        """One step, timed."""
        batch, began = self.batches[number], time.perf_counter()
        loss, _ = self.objective(self.fusion(batch.spatial, batch.semantic), batch)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.seconds.append(time.perf_counter() - began)
