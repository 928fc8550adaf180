"""The one training loop of the three phases (§1.4). A phase says what is trained and how judged; the rest is here.

Where a run stands is its step: batch order and learning rate follow from it, and the checkpoint carries all else, so a
run killed at any moment goes on bit for bit (fp32, CPU). Several workers may share each batch (ADR 20): order and
noise are those of the whole batch, so that a run may go on with any number of them.
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

from models.data.part import Part
from models.training import checkpoint, non_finite
from models.training.config import LoopConfig
from models.training.data import Batch
from models.training.history import History
from models.training.optimization import Average, load_optimizer, optimizer_of, optimizer_tensors, rate_at
from models.training.parallel import ALONE, Workers
from models.training.randomness import capture, isolated, restore
from models.training.reading import batches
from models.training.throughput import Throughput, peak_of

Progress = Callable[[str, int, int, dict[str, float]], None]
"""(what, done, total, numbers)"""
Left = Callable[[], float]
"""Seconds until the run must have ended."""
Kept = Callable[[Path], None]
"""Called with each checkpoint when it is whole on this disk; the run goes on when it returns."""


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

    def load(self, ids: Sequence[str], step: int, part: Part | None = None) -> Batch:
        """Read a batch of a step, or a part of it. Runs in several threads, ahead of the step; must not touch the
        random state.
        """
        ...

    def loss(self, batch: Batch, step: int, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its terms; all further randomness comes from `noise` or torch's global generator.

        Of a part of a batch, what it adds to those of the batch; terms of the same names as those of the other parts.
        As much is drawn as for the whole batch.
        """
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


def unkept(checkpoint: Path) -> None:
    """Checkpoints stay where they are written."""


def train(
    task: Task,
    config: LoopConfig,
    ids: Sequence[str],
    identity: dict[str, Any],
    out_dir: Path,
    progress: Progress = silent,
    left: Left = unlimited,
    kept: Kept = unkept,
    workers: Workers = ALONE,
) -> TrainResult:
    """Train, or go on where the newest whole checkpoint in `out_dir` ends; every worker is given the same result.

    Args:
        identity: configuration and data of the run, JSON values; a checkpoint of another is refused.
        out_dir: read and written by the first worker alone, which tells the others where to go on.
        progress: of the first worker.
        left: asked before each step; where another step and a checkpoint do not fit, the run stops.
        kept: as to bring a checkpoint to where other machines find it; what it raises ends the run.
        workers: those that share each batch; each calls this function, with equal arguments.

    Raises:
        OutOfTime: `left` is too little; what was done is in a checkpoint.
        NonFiniteError: loss or gradients are NaN or infinite; `non_finite.json` and its tensors hold the batches.
        CheckpointError: `out_dir` holds a run of another configuration or model, or one whose history is damaged.
        WriteError: a checkpoint does not fit on the disk.
        ConfigError: there are more workers than clips in a batch.
        FirstWorkerError: with several workers, what the first could not read or write, on each.
        WorkerLost: another worker is gone.
    """
    part = workers.part(config.batch)

    def found() -> checkpoint.Checkpoint | None:
        newest = checkpoint.latest(out_dir / "checkpoints")
        if newest is None:
            task.begin()
        else:
            checkpoint.require_same(newest, identity)
        return newest

    newest = workers.first_alone(found)
    with isolated(config.seed, torch.device(config.device)):
        return _Run(task, config, ids, identity, out_dir, progress, left, kept, workers, part).go(newest)


class _Run:
    def __init__(
        self,
        task: Task,
        config: LoopConfig,
        ids: Sequence[str],
        identity: dict[str, Any],
        out_dir: Path,
        progress: Progress,
        left: Left,
        kept: Kept,
        workers: Workers,
        part: Part | None,
    ) -> None:
        self.task, self.config, self.ids, self.identity = task, config, list(ids), identity
        self.out_dir, self.progress, self.left, self.kept = out_dir, progress, left, kept
        self.workers, self.part = workers, part
        self.longest_step = self.longest_save = 0.0
        self.device = torch.device(config.device)
        self.noise = torch.Generator(self.device).manual_seed(config.seed)
        self.parameters = dict(task.parameters())
        self.optimizer = optimizer_of(self.parameters, task.rates(), config)
        self.average = Average(self.parameters, config.ema)
        self.throughput = Throughput(peak_of(self.device, config.precision))
        self.history = History(out_dir / "history.jsonl")

    def go(self, found: checkpoint.Checkpoint | None) -> TrainResult:
        start, path = (0, Path()) if found is None else (found.step, found.path)
        self.workers.first_alone(lambda: self._open(found))
        self._follow()
        saved = start
        with closing(batches(self._load, self.ids, self.config, start)) as stream:
            for step in range(start, self.config.steps):
                if self.workers.any(self.left() <= self.longest_step + self.longest_save):
                    if step > saved:
                        self._save(step)
                    raise OutOfTime(self.task.name, step, self.config.steps)
                numbers = self._step(step, stream)
                self.longest_step = max(self.longest_step, numbers["seconds"])
                done = step + 1
                if self.workers.first:
                    self.history.add({"step": done, **numbers})
                if done % self.config.checkpoint_every == 0 or done == self.config.steps:
                    path, saved = self._save(done), done
                if self.workers.first:
                    self.progress(self.task.name, done, self.config.steps, numbers | self._pace(start, done))
        rows = self.workers.tell(self.history.rows)
        return TrainResult(
            steps=self.config.steps,
            losses=[row["loss"] for row in rows],
            checkpoint=path,
            seconds=sum(row["seconds"] for row in rows),
            trainable_parameters=sum(p.numel() for p in self.parameters.values()),
        )

    def _open(self, found: checkpoint.Checkpoint | None) -> None:
        """Where the run stands, and its history so far."""
        if found is not None:
            found.fill(self.parameters, found.tensors("model"))
            load_optimizer(self.optimizer, found.tensors("optimizer"))
            if self.average.tensors:
                found.fill(self.average.tensors, found.tensors("ema"))
            restore(found.tensors("random"), found.state["random"], self.noise)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self.history.cut(0 if found is None else found.step)

    @torch.no_grad()
    def _follow(self) -> None:
        """Stand where the first worker stands: no other needs the checkpoint."""
        if self.workers.count == 1:
            return
        tensors, values = self.workers.tell(self._state() if self.workers.first else None)
        if not self.workers.first:
            for mine, first in ((self.parameters, tensors["model"]), (self.average.tensors, tensors.get("ema", {}))):
                for name, tensor in mine.items():
                    tensor.copy_(first[name])
            load_optimizer(self.optimizer, tensors["optimizer"])
            restore(tensors["random"], values, self.noise)

    def _load(self, ids: Sequence[str], step: int) -> Batch:
        return self.task.load(ids, step, self.part)

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
        total, *means = self.workers.sum([total, *(sum(values) / len(values) for values in sums.values())])
        self.workers.add_gradients(self.parameters)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip).item()
        if not math.isfinite(total) or not math.isfinite(norm):
            raise self._non_finite(step, total, norm, used)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(step)
        trained = time.perf_counter() - began
        numbers = {"loss": total, "lr": rate, "grad_norm": norm} | dict(zip(sums, means, strict=True))
        numbers |= {"data_wait": waited / trained, **self.throughput.step(trained)}
        numbers |= self.task.watch(step + 1) if self.workers.first else {}
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
        parts = [part for one in used for part in self.workers.gathered(one)]
        report = self.workers.first_alone(lambda: non_finite.write(self.out_dir, step + 1, loss, norm, parts))
        return non_finite.NonFiniteError(
            f"{self.task.name}: step {step + 1} has loss {loss} and gradient norm {norm}; weights are as before it, "
            f"the batch is in {report}; look at its features or lower the learning rate"
        )

    def _save(self, step: int) -> Path:
        began = time.perf_counter()
        path = self.workers.first_alone(lambda: self._write(step))
        self.longest_save = max(self.longest_save, time.perf_counter() - began)
        return path

    def _write(self, step: int) -> Path:
        self.history.sync()
        tensors, values = self._state()
        state = {"task": self.task.name, "identity": self.identity, "random": values}
        path = checkpoint.save(self.out_dir / "checkpoints", step, tensors, state, keep=self.config.keep)
        self.kept(path)
        return path

    def _state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """All that changes from step to step: tensors, on the CPU, and JSON values."""
        random, values = capture(self.noise)
        groups = {"model": self.parameters, "optimizer": optimizer_tensors(self.optimizer), "random": random}
        if self.average.tensors:
            groups["ema"] = self.average.tensors
        return {name: {key: x.detach().cpu() for key, x in group.items()} for name, group in groups.items()}, values
