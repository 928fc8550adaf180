"""The one training loop of the three phases (§1.4). A phase says what is trained and how judged; the rest is here.

Where a run stands is its step: batch order and learning rate follow from it, and the checkpoint carries all else, so a
run killed at any moment goes on bit for bit (fp32, CPU).
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter

from models.training import checkpoint
from models.training.config import LoopConfig
from models.training.optimization import Average, load_optimizer, optimizer_of, optimizer_tensors, rate_at
from models.training.randomness import capture, isolated, restore
from models.training.sampler import Sampler

Progress = Callable[[str, int, int, dict[str, float]], None]
"""(what, done, total, numbers)"""


class NonFiniteError(RuntimeError):
    """A loss or gradient that is no number; the weights are those of the step before."""


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

    def rates(self) -> Mapping[str, float]:
        """Factor of the learning rate by prefix of the name; 1 where none fits."""
        ...

    def load(self, ids: Sequence[str], step: int) -> Any:
        """Read a batch of a step. Runs in a thread, one batch ahead."""
        ...

    def loss(self, batch: Any, step: int, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its terms; all further randomness comes from `noise` or torch's global generator."""
        ...

    def held_out(self, step: int) -> dict[str, float]:
        """Numbers on held-out clips after a step, empty where none are due. Must not touch the random state."""
        ...


def silent(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
    """No progress shown."""


def train(
    task: Task,
    config: LoopConfig,
    ids: Sequence[str],
    identity: dict[str, Any],
    out_dir: Path,
    progress: Progress = silent,
) -> TrainResult:
    """Train, or go on where the newest whole checkpoint in `out_dir` ends.

    Args:
        identity: configuration and data of the run, JSON values; a checkpoint of another is refused.

    Raises:
        NonFiniteError: loss or gradients are NaN or infinite; `non_finite.json` names the batch.
        CheckpointError: `out_dir` holds a run of another configuration.
    """
    with isolated(config.seed, torch.device(config.device)):
        return _Run(task, config, ids, identity, out_dir, progress).go()


class _Run:
    def __init__(self, task, config: LoopConfig, ids, identity, out_dir: Path, progress: Progress) -> None:
        self.task, self.config, self.ids, self.identity = task, config, list(ids), identity
        self.out_dir, self.progress = out_dir, progress
        self.device = torch.device(config.device)
        self.noise = torch.Generator(self.device).manual_seed(config.seed)
        self.parameters = dict(task.parameters())
        self.optimizer = optimizer_of(self.parameters, task.rates(), config)
        self.average = Average(self.parameters, config.ema)
        self.sampler = Sampler(len(self.ids), config.seed)
        out_dir.mkdir(parents=True, exist_ok=True)
        self.history = History(out_dir / "history.jsonl")

    def go(self) -> TrainResult:
        found = checkpoint.latest(self.out_dir / "checkpoints")
        start, path = 0, Path()
        if found is not None:
            checkpoint.require_same(found, self.identity)
            self._resume(found)
            start, path = found.step, found.path
        self.history.cut(start)
        with ThreadPoolExecutor(1) as reader:
            ahead = self._ahead(reader, start * self.config.accumulation)
            for step in range(start, self.config.steps):
                numbers, ahead = self._step(step, ahead, reader)
                self.history.add({"step": step + 1, **numbers})
                done = step + 1
                if done % self.config.checkpoint_every == 0 or done == self.config.steps:
                    path = self._save(done)
                self.progress(self.task.name, done, self.config.steps, numbers | self._pace(start, done))
        rows = self.history.rows
        return TrainResult(
            steps=self.config.steps,
            losses=[row["loss"] for row in rows],
            checkpoint=path,
            seconds=sum(row["seconds"] for row in rows),
            trainable_parameters=sum(p.numel() for p in self.parameters.values()),
        )

    def _step(self, step: int, ahead: Future, reader: ThreadPoolExecutor) -> tuple[dict[str, float], Future]:
        began, waited = time.perf_counter(), 0.0
        rate = rate_at(step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        total, sums, used = 0.0, {}, []
        for micro in range(self.config.accumulation):
            asked = time.perf_counter()
            ids, batch = ahead.result()
            waited += time.perf_counter() - asked
            ahead = self._ahead(reader, step * self.config.accumulation + micro + 1)
            used += ids
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                loss, terms = self.task.loss(batch, step, self.noise)
            (loss / self.config.accumulation).backward()
            total += loss.item() / self.config.accumulation
            for name, term in terms.items():
                sums.setdefault(name, []).append(float(term.detach()))
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip).item()
        if not math.isfinite(total) or not math.isfinite(norm):
            raise self._non_finite(step, total, norm, used)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(step)
        numbers = {"loss": total, "lr": rate, "grad_norm": norm} | {k: sum(v) / len(v) for k, v in sums.items()}
        numbers |= self.task.held_out(step + 1)
        seconds = time.perf_counter() - began
        return numbers | {"seconds": seconds, "data_wait": waited / seconds}, ahead

    def _ahead(self, reader: ThreadPoolExecutor, forward: int) -> Future:
        """Start to read the batch of the given forward pass."""
        ids = [self.ids[i] for i in self.sampler.take(forward * self.config.batch, self.config.batch)]
        return reader.submit(lambda: (ids, self.task.load(ids, forward // self.config.accumulation)))

    def _pace(self, start: int, done: int) -> dict[str, float]:
        recent = [row["seconds"] for row in self.history.rows[max(start, done - 20) : done]]
        pace = len(recent) / sum(recent)
        return {"steps_per_s": pace, "eta_s": (self.config.steps - done) / pace}

    def _non_finite(self, step: int, loss: float, norm: float, ids: list[str]) -> NonFiniteError:
        path = self.out_dir / "non_finite.json"
        report = {"step": step + 1, "loss": repr(loss), "grad_norm": repr(norm), "ids": ids}
        path.write_text(json.dumps(report, indent=1))
        return NonFiniteError(
            f"{self.task.name}: step {step + 1} has loss {loss} and gradient norm {norm}; weights are as before it, "
            f"the batch is in {path}; look at its features or lower the learning rate"
        )

    def _save(self, step: int) -> Path:
        self.history.sync()
        random, values = capture(self.noise)
        tensors = {"model": self.parameters, "optimizer": optimizer_tensors(self.optimizer), "random": random}
        if self.average.tensors:
            tensors["ema"] = self.average.tensors
        state = {"task": self.task.name, "identity": self.identity, "random": values}
        return checkpoint.save(self.out_dir / "checkpoints", step, tensors, state, keep=self.config.keep)

    def _resume(self, found: checkpoint.Checkpoint) -> None:
        weights = found.tensors("model")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])
        load_optimizer(self.optimizer, found.tensors("optimizer"))
        if self.average.tensors:
            self.average.load(found.tensors("ema"))
        restore(found.tensors("random"), found.state["random"], self.noise)


class History:
    """One JSON line a step in `history.jsonl`; what lies after the checkpoint that a run resumes from is cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def cut(self, steps: int) -> None:
        lines = self.path.read_text().splitlines()[:steps] if self.path.exists() else []
        self.rows = [json.loads(line) for line in lines]
        draft = self.path.with_suffix(".writing")
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.replace(self.path)

    def sync(self) -> None:
        """On disk before the checkpoint that counts on it."""
        with self.path.open("a") as file:
            os.fsync(file.fileno())

    def add(self, row: dict[str, float]) -> None:
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
