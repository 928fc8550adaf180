"""The one training loop of the three phases (§1.4). A phase says what is trained and how judged; the rest is here.

Where a run stands is its step: batch order and learning rate follow from it, and the checkpoint carries all else, so a
run killed at any moment goes on bit for bit (fp32, CPU).
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter

from models.training import checkpoint, non_finite
from models.training.config import LoopConfig
from models.training.data import Batch
from models.training.history import History
from models.training.optimization import Average, load_optimizer, optimizer_of, optimizer_tensors, rate_at
from models.training.randomness import capture, isolated, restore
from models.training.reading import batches
from models.training.throughput import Throughput, peak_of

Progress = Callable[[str, int, int, dict[str, float]], None]
"""(what, done, total, numbers)"""
Left = Callable[[], float]
"""Seconds until the run must have ended."""


class OutOfTime(RuntimeError):
    """A run that stopped because its time was up. Its checkpoint holds all it did; run again, it goes on there."""

    def __init__(self, task: str, step: int, steps: int) -> None:
        super().__init__(f"{task}: its time was up after step {step} of {steps}; run again, it goes on there")
        self.step, self.steps = step, steps


@dataclass(frozen=True)
class TrainResult:
    """What a finished run leaves."""

    steps: int
    losses: list[float]
    """Loss of every step, those before a resume included."""
    checkpoint: Path
    seconds: float
    """Time spent in steps, over all attempts."""
    trainable_parameters: int


class Task(Protocol):
    """What a phase adds to the loop."""

    name: str

    def parameters(self) -> Mapping[str, Parameter]:
        """All that is trained, by the name it has in a checkpoint."""
        ...

    def begin(self) -> None:
        """Set what is trained to its start. Not called where a checkpoint is there to go on from."""
        ...

    def rates(self) -> Mapping[str, float]:
        """Factor of the learning rate by prefix of the name; 1 where none fits."""
        ...

    def load(self, ids: Sequence[str], step: int) -> Batch:
        """Read a batch of a step. Runs in several threads, ahead of the step; must not touch the random state."""
        ...

    def loss(self, batch: Batch, step: int, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its terms; all further randomness comes from `noise` or torch's global generator."""
        ...

    def watch(self, step: int) -> dict[str, float]:
        """Numbers beside the losses after a step, as on held-out clips; empty where none are due.

        Must touch neither the random state nor a parameter or its gradient.
        """
        ...


def silent(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
    """No progress shown."""


def unlimited() -> float:
    """All the time there is."""
    return math.inf


def train(
    task: Task,
    config: LoopConfig,
    ids: Sequence[str],
    identity: dict[str, Any],
    out_dir: Path,
    progress: Progress = silent,
    left: Left = unlimited,
) -> TrainResult:
    """Train, or go on where the newest whole checkpoint in `out_dir` ends.

    Args:
        identity: configuration and data of the run, JSON values; a checkpoint of another is refused.
        left: asked before each step; where another step and a checkpoint do not fit, the run stops.

    Raises:
        OutOfTime: `left` is too little; what was done is in a checkpoint.
        NonFiniteError: loss or gradients are NaN or infinite; `non_finite.json` and its tensors hold the batches.
        CheckpointError: `out_dir` holds a run of another configuration or model, or one whose history is damaged.
        WriteError: a checkpoint does not fit on the disk.
    """
    found = checkpoint.latest(out_dir / "checkpoints")
    if found is None:
        task.begin()
    else:
        checkpoint.require_same(found, identity)
    with isolated(config.seed, torch.device(config.device)):
        return _Run(task, config, ids, identity, out_dir, progress, left).go(found)


class _Run:
    def __init__(self, task, config: LoopConfig, ids, identity, out_dir: Path, progress: Progress, left: Left) -> None:
        self.task, self.config, self.ids, self.identity = task, config, list(ids), identity
        self.out_dir, self.progress, self.left = out_dir, progress, left
        self.longest_step = self.longest_save = 0.0
        self.device = torch.device(config.device)
        self.noise = torch.Generator(self.device).manual_seed(config.seed)
        self.parameters = dict(task.parameters())
        self.optimizer = optimizer_of(self.parameters, task.rates(), config)
        self.average = Average(self.parameters, config.ema)
        self.throughput = Throughput(peak_of(self.device, config.precision))
        out_dir.mkdir(parents=True, exist_ok=True)
        self.history = History(out_dir / "history.jsonl")

    def go(self, found: checkpoint.Checkpoint | None) -> TrainResult:
        start, path = 0, Path()
        if found is not None:
            self._resume(found)
            start, path = found.step, found.path
        saved = start
        self.history.cut(start)
        with closing(batches(self.task.load, self.ids, self.config, start)) as stream:
            for step in range(start, self.config.steps):
                if self.left() <= self.longest_step + self.longest_save:
                    if step > saved:
                        self._save(step)
                    raise OutOfTime(self.task.name, step, self.config.steps)
                numbers = self._step(step, stream)
                self.longest_step = max(self.longest_step, numbers["seconds"])
                self.history.add({"step": step + 1, **numbers})
                done = step + 1
                if done % self.config.checkpoint_every == 0 or done == self.config.steps:
                    path, saved = self._save(done), done
                self.progress(self.task.name, done, self.config.steps, numbers | self._pace(start, done))
        rows = self.history.rows
        return TrainResult(
            steps=self.config.steps,
            losses=[row["loss"] for row in rows],
            checkpoint=path,
            seconds=sum(row["seconds"] for row in rows),
            trainable_parameters=sum(p.numel() for p in self.parameters.values()),
        )

    def _step(self, step: int, stream: Iterator[Batch]) -> dict[str, float]:
        """One optimizer step. `data_wait` is the share of its time spent waiting for batches, what is watched aside."""
        began, waited = time.perf_counter(), 0.0
        rate = rate_at(step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        total, sums, used = 0.0, {}, []
        for _ in range(self.config.accumulation):
            asked = time.perf_counter()
            used.append(next(stream))
            waited += time.perf_counter() - asked
            loss, terms = self._pass(used[-1], step)
            total += loss / self.config.accumulation
            for name, term in terms.items():
                sums.setdefault(name, []).append(float(term.detach()))
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip).item()
        if not math.isfinite(total) or not math.isfinite(norm):
            raise self._non_finite(step, total, norm, used)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(step)
        trained = time.perf_counter() - began
        numbers = {"loss": total, "lr": rate, "grad_norm": norm} | {k: sum(v) / len(v) for k, v in sums.items()}
        numbers |= {"data_wait": waited / trained, **self.throughput.step(trained), **self.task.watch(step + 1)}
        return numbers | {"seconds": time.perf_counter() - began}

    def _pass(self, batch: Batch, step: int) -> tuple[float, dict[str, Tensor]]:
        """Forward and backward over a batch; the gradients add up."""
        with self.throughput.passing(batch):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                loss, terms = self.task.loss(batch, step, self.noise)
            (loss / self.config.accumulation).backward()
        return loss.item(), terms

    def _pace(self, start: int, done: int) -> dict[str, float]:
        recent = [row["seconds"] for row in self.history.rows[max(start, done - 20) : done]]
        pace = len(recent) / sum(recent)
        return {"steps_per_s": pace, "eta_s": (self.config.steps - done) / pace}

    def _non_finite(self, step: int, loss: float, norm: float, used: list[Batch]) -> non_finite.NonFiniteError:
        report = non_finite.write(self.out_dir, step + 1, loss, norm, used)
        return non_finite.NonFiniteError(
            f"{self.task.name}: step {step + 1} has loss {loss} and gradient norm {norm}; weights are as before it, "
            f"the batch is in {report}; look at its features or lower the learning rate"
        )

    def _save(self, step: int) -> Path:
        began = time.perf_counter()
        self.history.sync()
        random, values = capture(self.noise)
        tensors = {"model": self.parameters, "optimizer": optimizer_tensors(self.optimizer), "random": random}
        if self.average.tensors:
            tensors["ema"] = self.average.tensors
        state = {"task": self.task.name, "identity": self.identity, "random": values}
        path = checkpoint.save(self.out_dir / "checkpoints", step, tensors, state, keep=self.config.keep)
        self.longest_save = max(self.longest_save, time.perf_counter() - began)
        return path

    def _resume(self, found: checkpoint.Checkpoint) -> None:
        found.fill(self.parameters, found.tensors("model"))
        load_optimizer(self.optimizer, found.tensors("optimizer"))
        if self.average.tensors:
            found.fill(self.average.tensors, found.tensors("ema"))
        restore(found.tensors("random"), found.state["random"], self.noise)
